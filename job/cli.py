"""The `retention` command: parse, call, print, exit. Nothing else of the project knows Click."""

from __future__ import annotations

import difflib
import functools
import getpass
import inspect
import json
import math
import os
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_type_hints

import click

from job import __version__
from job.errors import (
    EXIT_DEFECT,
    EXIT_LOOK,
    EXIT_PUBLISHED,
    ArtifactError,
    EngineError,
    JobError,
    Problem,
    SettingsError,
)
from job.intake.hashes import hash_ahead
from job.process import logs, supervisor
from job.process.invocation import Invocation
from job.settings import Bounds, DropSettings, LiftSettings, Option, ScoreSettings, TrainSettings, name_month

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from job.storage.run import Place

SETTINGS: dict[str, Any] = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}
PREFIX = "RETENTION_"
THREADS = "POLARS_MAX_THREADS"


class _Number(click.FloatRange):
    """A number within bounds; what is none (nan) or has no end (inf) is not within any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - Click's signature
        """Return a float."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number that can be used.", param, ctx)
        return number


class _Place(click.Path):
    """A path, or an address in object storage; `is_local`: a path of this machine alone."""

    def __init__(self, *, is_local: bool) -> None:
        super().__init__(path_type=Path)
        self.is_local = is_local

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - Click's signature
        """Return a Path or an Address."""
        if not isinstance(value, str):
            return value
        if self.is_local and "://" in value:
            self.fail(f"{value!r} is in object storage; a path of this machine is needed here.", param, ctx)
        if any("\ud800" <= char <= "\udfff" for char in value):  # no manifest, log or page could name it
            self.fail(f"{value!r} is no name in UTF-8; rename it, or go there and give a relative path.", param, ctx)
        if self.is_local:
            return super().convert(value, param, ctx)
        from job.storage.address import parse_place  # noqa: PLC0415

        return parse_place(value)


FOLDER, PLACE = _Place(is_local=True), _Place(is_local=False)


def _tell_call(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401 - Click's signature
    """Let the call know how and where it tells of itself, before anything can go wrong."""
    call: Invocation = ctx.find_root().obj
    call.command = str(ctx.command.name)
    if not isinstance(value, Path):
        setattr(call, str(param.name), value)
        return
    if not value.parent.is_dir():
        raise SettingsError([Problem(param.opts[0], "a file in a folder that is there", str(value))])
    if param.name == "lineage":
        from job.process.lineage import is_installed  # noqa: PLC0415 - for whoever asks for it

        if not is_installed():
            raise SettingsError("--lineage needs OpenLineage's library: pip install 'oneclick-retention[lineage]'")
    call.files[str(param.name)] = value


def _option(flag: str, text: str, metavar: str | None = None, *names: str, **attributes: Any) -> Callable[..., Any]:  # noqa: ANN401 - Click's
    """Return Click's option, also shown with its default if it has one."""
    return click.option(flag, *names, help=text, metavar=metavar, show_default="default" in attributes, **attributes)


_of_call = functools.partial(_option, is_eager=True, expose_value=False, callback=_tell_call)
_OF_ANSWERS = (
    _of_call("--json", "Print JSON for a machine.", None, "as_json", is_flag=True),
    _of_call("--quiet", "Print problems only.", None, "-q", "is_quiet", is_flag=True),
)
_OF_LOGS = (
    _of_call(
        "--log-format",
        "Of the log on standard error; auto: text on a terminal, JSON elsewhere.",
        type=click.Choice(logs.FORMATS),
        default="auto",
    ),
    _of_call("--log-level", "What is left out of the log.", type=click.Choice(list(logs.LEVELS)), default="info"),
)


class Answer(NamedTuple):
    """What a command came to: for a person, who may ask for silence; for a machine, with --json; lines that stay."""

    text: str
    result: Mapping[str, Any]
    lines: Sequence[str] = ()


class _Command(click.Command):
    """A command with the options of a record of settings, of what it prints, and `has_log`: of its log.

    The filled record is its argument `settings`; the log says when it begins. Help shows first the places, then the
    settings.

    Every option can be given as RETENTION_<OPTION>: Click's own prefix would name the variable after the command and
    after the function's argument.
    """

    def __init__(
        self,
        name: str,
        *,
        settings: type[Any] | None = None,
        has_log: bool = False,
        **attributes: Any,  # noqa: ANN401 - Click's
    ) -> None:
        super().__init__(name, context_settings=SETTINGS, **attributes)
        self.help = inspect.cleandoc(self.help or "").replace("\nExample:", "\n\b\nExample:")  # its lines stay lines
        self.settings = settings
        if settings is not None:
            declared, self.params = self.params, []
            for option in _options_of(settings):
                option(self)
            places = [param for param in declared if isinstance(param.type, _Place) and param.expose_value]
            self.params = [*places, *self.params, *(param for param in declared if param not in places)]
        for option in (*_OF_ANSWERS, *(_OF_LOGS if has_log else ())):
            option(self)
        for param in self.params:
            if isinstance(param, click.Option):
                param.envvar = f"{PREFIX}{param.opts[0].removeprefix('--').replace('-', '_').upper()}"

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - Click's signature
        """Run the command."""
        call: Invocation = ctx.find_root().obj
        call.drop, call.output = (str(ctx.params[name]) if name in ctx.params else None for name in ("drop", "output"))
        if ctx.params.get("dry_run"):
            call.files.clear()  # nothing happens that anybody would have to know
        call.begin(str(self.name))
        refusal = supervisor.lacks_threads() if call.is_process else None
        if refusal is not None:
            raise EngineError(refusal)
        if self.settings is not None:
            ctx.params["settings"] = _filled(self.settings, ctx.params)
        answer: Answer = super().invoke(ctx)
        if call.as_json:
            _print_json(answer.result)
        elif not call.is_quiet:
            click.echo(answer.text)
        for line in answer.lines:
            click.echo(line, err=True)
        ctx.exit(answer.result.get("exit_code", EXIT_PUBLISHED))


class _Group(click.Group):
    """The one place that turns an error into its lines and its exit code, and closes the call."""

    command_class = _Command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - Click's signature
        """Run the command."""
        call = ctx.obj = ctx.obj or Invocation()
        exit_code = EXIT_DEFECT
        try:
            _check_environment(self)
            super().invoke(ctx)
            exit_code = EXIT_PUBLISHED
        except JobError as error:
            call.bar.clear()
            for problem in error.problems:
                click.echo(problem, err=True)
            if call.as_json:
                _print_json({"exit_code": error.exit_code, "problems": list(error.problems)})
            call.problems, exit_code = len(error.problems), error.exit_code
            ctx.exit(exit_code)
        except (click.exceptions.Exit, click.ClickException) as leaving:
            exit_code = leaving.exit_code
            raise
        except BaseException as error:  # Polars' panics are no Exception
            if not call.is_process or isinstance(error, KeyboardInterrupt | SystemExit | BrokenPipeError):
                raise
            call.bar.clear()
            click.echo(call.explain_defect(error), err=True)
            call.problems = 1
            ctx.exit(exit_code)
        finally:
            call.close(exit_code)


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - Click's signature
    if value:
        from job.models.artifact import default_folder, load_artifact  # noqa: PLC0415 - loaded when it is asked for

        click.echo(f"retention, version {__version__}, model {load_artifact(default_folder()).digest[:12]}")
        ctx.exit()


@click.group(cls=_Group, context_settings=SETTINGS)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show versions and exit."
)
def main() -> None:
    """Score a shop's customers for the risk of buying less, and publish segments with offers.

    \b
    Example:
      retention score --input /data/drop --output /data/out

    Every option can be given as an environment variable: --max-rejected as RETENTION_MAX_REJECTED.

    \b
    Exit codes:
      0  done, or done before        5  the output cannot be written
      1  a defect of the job         6  the drop is not complete yet
      2  wrong usage                 7  another run holds the output
      3  the drop is bad             8  published, but a person must look
      4  the model artifact is bad
    """  # noqa: D301 - Click reads the character


def _check_environment(group: click.Group) -> None:
    """Raise SettingsError for variables that look like options and are none: a typo would go unseen.

    A variable that is empty is not given.
    """
    if os.environ.get(THREADS) == "":
        del os.environ[THREADS]
    threads = os.environ.get(THREADS, "1")
    if not threads.isdecimal() or not int(threads):
        raise SettingsError([Problem(THREADS, "a number of threads, 1 or more", threads)])
    known = {str(option.envvar) for command in group.commands.values() for option in command.params}
    problems = []
    for name, value in sorted(os.environ.items()):
        if name.startswith(PREFIX) and value and name not in known:
            nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
            problems.append(Problem(name, ", such as ".join(["the variable of an option", *nearest])))
    if problems:
        raise SettingsError(problems)


def _print_json(plain: Mapping[str, Any]) -> None:
    from schemas.results import RESULT_FORMAT  # noqa: PLC0415

    click.echo(json.dumps({"format": RESULT_FORMAT, **plain}, ensure_ascii=False, indent=1))


def _settings_of(record: type[Any]) -> Iterator[tuple[str, Any, Option | None]]:
    """Yield name, annotation and option of each setting of a record; a group of settings has no option."""
    for name, hint in get_type_hints(record, include_extras=True).items():
        yield name, hint, next((part for part in _parts(hint) if isinstance(part, Option)), None)


def _parts(hint: Any) -> list[Any]:  # noqa: ANN401 - an annotation
    """Return the types of an annotation, or its choices, and its marks, all in one row."""
    return [leaf for part in get_args(hint) for leaf in _parts(part)] or [hint]


def _options_of(record: type[Any]) -> Iterator[Callable[..., Any]]:
    """Yield Click's option for each setting of a record and of its groups, in their order."""
    parameters = inspect.signature(record).parameters
    for name, hint, option in _settings_of(record):
        if option is None:
            yield from _options_of(hint)
            continue
        default = parameters[name].default
        attributes: dict[str, Any] = {} if default is None else {"default": default}
        kinds = [part for part in _parts(hint) if not isinstance(part, Option | Bounds) and part is not NoneType]
        bounds = next((part for part in _parts(hint) if isinstance(part, Bounds)), Bounds())
        if kinds == [bool]:
            attributes = {"is_flag": True}
        elif kinds in ([int], [float]):
            number: Any = click.IntRange if kinds == [int] else _Number
            attributes["type"] = number(bounds.low, bounds.high, min_open=bounds.is_above)
        elif kinds in ([Path], [str]):
            attributes["type"] = FOLDER if kinds == [Path] else str
        else:
            attributes["type"] = click.Choice(kinds)
        yield _option(*option, **attributes)


def _filled(record: type[Any], values: dict[str, Any]) -> Any:  # noqa: ANN401 - a record of this type
    """Take a record's settings out of the values that Click parsed."""
    fields = {
        name: _filled(hint, values) if option is None else values.pop(option.flag.strip("-").replace("-", "_"))
        for name, hint, option in _settings_of(record)
    }
    return record(**fields)


_DROP = _option("--input", "The folder, or s3://..., of the four tables.", "DROP", "drop", type=PLACE, required=True)
_OUTPUT = _option("--output", "Where runs are published; s3://..., too.", "OUT", type=PLACE, required=True)


@main.command(has_log=True, settings=ScoreSettings)
@_DROP
@_OUTPUT
@_option(
    "--artifacts",
    "A model artifact, or a store of models whose champion scores; s3://..., too.  [default: the shipped one]",
    "DIR",
    type=PLACE,
)
@_option(
    "--engine",
    "Who does the work: this process, or executors of --spark-remote.",
    None,
    "engine_name",
    type=click.Choice(["local", "spark"]),
    default="local",
)
@_option(
    "--spark-remote",
    "A Spark Connect endpoint, sc://HOST:15002; its executors see DROP and OUT under the same paths.",
    "URL",
)
@_of_call("--metrics", "Also tell Prometheus (node exporter's textfile), whatever the exit code.", "FILE", type=FOLDER)
@_of_call(
    "--lineage", "Also tell what was read and written, as events of OpenLineage, one a line.", "FILE", type=FOLDER
)
@click.pass_obj
def score(
    call: Invocation,
    /,
    *,
    drop: Place,
    output: Place,
    artifacts: Place | None,
    settings: ScoreSettings,
    engine_name: str,
    spark_remote: str | None,
) -> Answer:
    """Validate a drop, score and segment its customers, publish the run.

    Example:
      retention score --input /data/drop --output /data/out
    """
    if isinstance(drop, Path) and spark_remote is None:  # executors hash what they read
        hash_ahead(drop)
    from job.executor import Executor  # noqa: PLC0415 - each command imports only what it needs
    from job.scoring.compare import summarise_comparison  # noqa: PLC0415
    from job.scoring.summary import summarise_run  # noqa: PLC0415
    from job.storage.models import chosen_artifact  # noqa: PLC0415
    from job.storage.run import score_places  # noqa: PLC0415

    settings = settings._replace(campaign=name_month(settings.campaign, datetime.now(UTC).date()))
    if (engine_name == "spark") != (spark_remote is not None):
        raise SettingsError("--engine spark and --spark-remote go together")
    with ExitStack() as stack:
        champion = stack.enter_context(chosen_artifact(artifacts))
        executor = Executor(call.show_step)
        if spark_remote is not None:
            from job.spark.executor import Cluster, SparkExecutor  # noqa: PLC0415 - an extra

            executor = SparkExecutor(stack.enter_context(closing(Cluster(spark_remote))), call.show_step)
        published = score_places(
            drop, output, settings, champion=champion, executor=executor, progress=call.enter_stage
        )
    call.bar.clear()
    outcome = published.outcome
    call.manifest, call.is_repeat = outcome.manifest, not outcome.is_new
    run_id = outcome.manifest["run_id"]
    result = {
        "exit_code": EXIT_LOOK if outcome.look else EXIT_PUBLISHED,
        "problems": [],
        "run_id": run_id,
        "run": published.place,
        "is_new": outcome.is_new,
        "look": list(outcome.look),
        "is_dry_run": settings.dry_run,
        "changes": published.changes,
    }
    text = f"Nothing to do: the same drop was published before, as {published.place}"
    if outcome.is_new:
        text = summarise_run(outcome.manifest, latest=published.shown_at)
        if published.changes is not None:
            text += f"\n\nAgainst `latest`\n{summarise_comparison(published.changes)}"
    elif outcome.replaced is not None:
        again = "would name it again, it names" if settings.dry_run else "names it again, it named"
        text += f"; `latest` {again} {outcome.replaced}"
    then = f"A person must look; then: retention runs --output {output} --acknowledge {run_id}"
    return Answer(text, result, [*outcome.look, then] if outcome.look else [])


@main.command(has_log=True, settings=DropSettings)
@_DROP
@_option("--labelled", "Check it for training: the label must be there.", is_flag=True)
@click.pass_obj
def validate(call: Invocation, *, drop: Place, settings: DropSettings, labelled: bool) -> Answer:
    """Check a drop and print what was understood and every problem; write nothing.

    The exit code is the one that `score` would give.

    Example:
      retention validate --input /data/drop
    """
    from job.intake.drop import wait_for_files  # noqa: PLC0415
    from job.intake.summary import describe_intake, summarise_intake  # noqa: PLC0415
    from job.storage.run import delivered  # noqa: PLC0415
    from job.validate import validate_drop  # noqa: PLC0415

    try:
        with delivered(drop, settings.arrival) as delivery:
            files = wait_for_files(delivery.folder, delivery.arrival)
            intake, excluded = validate_drop(files, labelled=labelled, limits=settings.limits)
    except JobError as error:
        if not call.as_json and not call.is_quiet:
            click.echo(f"The drop would be refused: {len(error.problems)} problem(s).")
        raise
    result = {"exit_code": EXIT_PUBLISHED, "problems": [], **describe_intake(intake, excluded)}
    return Answer(summarise_intake(intake, excluded), result)


@main.command(has_log=True, settings=TrainSettings)
@_DROP
@_option("--artifacts", "Where the selected model is written.", "DIR", type=FOLDER)
@_option(
    "--store",
    "Instead of --artifacts: add it as a new version, if it beats the champion; s3://..., too.",
    "STORE",
    type=PLACE,
)
@click.pass_obj
def train(
    call: Invocation, *, drop: Place, artifacts: Path | None, store: Place | None, settings: TrainSettings
) -> Answer:
    """Fit the candidates on a labelled drop, compare them, write the selected model.

    Example:
      retention train --input /data/labelled --artifacts /data/model
      retention train --input /data/labelled --store /data/models
    """
    from job.storage.models import train_into, train_to  # noqa: PLC0415

    if store is not None and settings.champion is not None:
        raise SettingsError("--champion and --store do not go together: a store has its champion")
    if artifacts is not None and store is None:
        trained = train_to(artifacts, drop, settings, call.bar.show)
    elif store is not None and artifacts is None:
        trained = train_into(store, drop, settings, call.bar.show)
    else:
        raise SettingsError("one of --artifacts DIR and --store STORE is needed")
    call.bar.clear()
    against = [] if trained.verdict is None else [f"  Against {trained.against}: {trained.verdict}."]
    text = "\n".join([trained.table, *against, f"  {trained.told}"])
    result = {
        "exit_code": EXIT_PUBLISHED,
        "problems": [],
        "written": trained.is_written,
        "version": trained.version,
        "reason": None if trained.is_written else trained.told,
        "verdict": trained.verdict,
    }
    return Answer(text, result)


@main.command()
@click.argument("out_dir", type=FOLDER)
@_option("--customers", "How many customers.", "N", type=click.IntRange(1))
@_option("--seed", "The same seed gives the same bytes.", "S", type=click.IntRange(0), required=True)
@_option("--labelled", "With the label column, for training.", is_flag=True)
@_option("--clean", "Without misspellings and bad rows.", is_flag=True)
@click.option("--format", "table_format", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@_option("--shuffled", "Rows in a random order.", is_flag=True)
@_option(
    "--outcome-of",
    "Instead of --customers: the customers of this run three months later, labelled, for `lift`.",
    "RUN",
    type=FOLDER,
)
@_option(
    "--effect",
    "With --outcome-of: contacts lower the probability of a decline by this share, those with an OFFER by its "
    "own; several times.  [default: 0]",
    "[OFFER=]E",
    "effects",
    multiple=True,
)
@_option("--months", "With --outcome-of: how much later it is.  [default: 3]", "N", type=click.IntRange(1))
@_option(
    "--season",
    "With --outcome-of: the newest month's revenue, against a usual month's.  [default: 1]",
    "FACTOR",
    type=float,
)
@_option("--unlabelled", "With --outcome-of: without the label; with --months 1 the next month's drop.", is_flag=True)
@click.pass_obj
def sample(
    call: Invocation,
    /,
    *,
    out_dir: Path,
    customers: int | None,
    labelled: bool,
    outcome_of: Path | None,
    effects: tuple[str, ...],
    months: int | None,
    season: float | None,
    unlabelled: bool,
    **shape: Any,  # noqa: ANN401 - what both kinds of drop have
) -> Answer:
    """Write a synthetic drop to OUT_DIR, as dirty as real ones.

    Example:
      retention sample --customers 5000 --seed 7 /tmp/drop
      retention sample --outcome-of /tmp/out/latest --effect 0.2 --seed 7 /tmp/outcome
      retention sample --outcome-of /tmp/out/latest --months 1 --unlabelled --seed 7 /tmp/next
    """
    from job.sample import write_drop  # noqa: PLC0415

    problems = []
    if outcome_of is not None and customers is not None:
        problems.append("--customers and --outcome-of do not go together: the run says who the customers are")
    if outcome_of is None:
        later = {"--effect": effects, "--months": months, "--season": season, "--unlabelled": unlabelled}
        wanted = [flag for flag, value in later.items() if value not in (None, (), False)]
        problems += [f"{flag} needs --outcome-of RUN: it says what became of that run's customers" for flag in wanted]
    if labelled and unlabelled:
        problems.append("--labelled and --unlabelled do not go together")
    if problems:
        raise SettingsError(problems)
    if outcome_of is not None:
        from job.campaign.outcome import MONTHS, write_outcome  # noqa: PLC0415

        when: dict[str, Any] = {"months": months or MONTHS, "season": 1.0 if season is None else season}
        rows = write_outcome(out_dir, run=outcome_of, effects=effects, labelled=not unlabelled, **when, **shape)
    elif customers is not None:
        rows = write_drop(out_dir, customers=customers, labelled=labelled, progress=call.bar.show, **shape)
        call.bar.clear()
    else:
        raise SettingsError("one of --customers N and --outcome-of RUN is needed")
    tables = ", ".join(f"{table} {count:,} rows" for table, count in rows.items())
    return Answer(f"Wrote a synthetic drop to {out_dir}: {tables}", {"drop": str(out_dir), "rows": rows})


@main.command(has_log=True, settings=LiftSettings)
@_option("--outcome", "The labelled drop of three months later.", "DROP", type=PLACE, required=True)
@_option("--run", "The published run: OUT/runs/ID.", "RUN", type=PLACE, required=True)
@click.pass_obj
def lift(call: Invocation, *, run: Place, outcome: Place, settings: LiftSettings) -> Answer:
    """Compare a run's treated customers with its control group, three months later.

    The outcome is a labelled drop. The run stays as it is; one that was altered since it was published is refused
    (exit code 4).

    Example:
      retention lift --run /data/out/runs/9f86d081884c7d65 --outcome /data/drop-october
    """
    from job.campaign.publish import run_lift  # noqa: PLC0415
    from job.campaign.summary import summarise_lift  # noqa: PLC0415
    from job.storage.run import delivered, published_run, send_lift  # noqa: PLC0415

    with (
        published_run(run, with_scored=True, among_others=True) as folder,
        delivered(outcome, settings.arrival) as delivery,
    ):
        settings = settings._replace(arrival=delivery.arrival)
        published = run_lift(folder, delivery.folder, settings, progress=call.enter_stage)
        if isinstance(run, Path) or settings.output is not None:
            shown = str(published.folder)
        else:
            shown = send_lift(run, published.folder)
    text = summarise_lift(published.lift, run_id=published.run_id, folder=shown)
    return Answer(text, {"folder": shown, "lift": published.described})


@main.command()
@click.argument("file", type=FOLDER)
@_option("--run", "Also show whom the file would take of this run: OUT/runs/ID.", "DIR", type=PLACE)
def segments(*, file: Path, run: Place | None) -> Answer:
    """Check a segments file; show, in Russian, its segments, or whom each would take of a run.

    Example:
      retention segments my.toml --run /data/out/latest
    """
    from job.scoring.mistakes import SegmentsError  # noqa: PLC0415
    from job.scoring.preview import describe_preview, preview_segments, summarise_segments  # noqa: PLC0415
    from job.scoring.segments import load_segmentation  # noqa: PLC0415
    from job.storage.run import published_run  # noqa: PLC0415

    try:
        segmentation = load_segmentation(file)
    except SegmentsError as error:
        raise error.in_russian() from error
    preview = None
    if run is not None:
        with published_run(run, with_scored=True) as folder:
            preview = describe_preview(*preview_segments(folder, segmentation))
    codes = [segment.code for segment in segmentation.segments]
    return Answer(summarise_segments(segmentation, preview), {"file": str(file), "segments": codes, "preview": preview})


@main.command()
@_OUTPUT
def history(*, output: Place) -> Answer:
    """Tell what the months have taught: runs, campaigns, and what each offer is worth.

    Also writes OUT/history.html and OUT/history.json. The next `score` uses what was measured (--effects).

    Example:
      retention history --output /data/out
    """
    from job.history.data import describe_history  # noqa: PLC0415
    from job.history.page import JSON, PAGE, write_history  # noqa: PLC0415
    from job.history.summary import summarise_history  # noqa: PLC0415
    from job.storage.run import listed_output  # noqa: PLC0415

    with listed_output(output, back=[PAGE, JSON]) as folder:
        history = describe_history(folder)
        write_history(folder, history)
    return Answer(f"{summarise_history(history)}\nPage: {output / PAGE}", history)


@main.command(has_log=True)
@_option("--run", "A published run: OUT/runs/ID.", "DIR", type=PLACE, required=True)
def report(*, run: Place) -> Answer:
    """Draw report.html of a published run again, from its manifest alone.

    Example:
      retention report --run /data/out/latest
    """
    from job.report.page import REPORT, write_report  # noqa: PLC0415
    from job.storage.run import published_run  # noqa: PLC0415

    with published_run(run, back=[REPORT, "manifest.json"]) as folder:
        written = write_report(folder)
    return Answer(f"Wrote {run / written.name}", {"page": str(run / written.name)})


@main.command()
@_OUTPUT
@_option("--compare", "Say why the second run has other contacts than the first.", "ID ID", nargs=2)
@_option("--acknowledge", "Say that a person has looked at this run: no more exit code 8.", "ID")
@_option("--note", "With --acknowledge: what that person says of it.", "TEXT")
def runs(*, output: Place, compare: tuple[str, str] | None, acknowledge: str | None, note: str | None) -> Answer:
    """List the published runs, the newest first; or compare two; or say that a person has looked at one.

    Example:
      retention runs --output /data/out
      retention runs --output /data/out --compare 4de12568a03998e3 9f86d081884c7d65
      retention runs --output /data/out --acknowledge 9f86d081884c7d65 --note "autumn sale"
    """
    from job.scoring.compare import compare_runs, read_run, summarise_comparison  # noqa: PLC0415
    from job.scoring.runs import list_runs, summarise_runs  # noqa: PLC0415
    from job.storage.run import acknowledge_at, listed_output  # noqa: PLC0415

    if acknowledge is not None:
        acknowledge_at(output, acknowledge, note)
        return Answer(f"Run {acknowledge}: a person has looked.", {"acknowledged": acknowledge, "note": note})
    with listed_output(output) as folder:
        if compare is not None:
            comparison = compare_runs(*(read_run(folder, run_id) for run_id in compare))
            return Answer(summarise_comparison(comparison), comparison)
        listed = list_runs(folder)
    return Answer(summarise_runs(listed), {"runs": listed})


@main.command()
@_option("--store", "The store of models; s3://..., too.", "STORE", type=PLACE, required=True)
@_option("--promote", "Make version N the champion.", "N", type=click.IntRange(1))
@_option("--rollback", "Make the champion before this one the champion again.", is_flag=True)
@_option("--note", "With --promote or --rollback: why; kept in the log.", "TEXT")
def models(*, store: Place, promote: int | None, rollback: bool, note: str | None) -> Answer:
    """List the versions of the model, the newest first; or say which is the champion.

    Example:
      retention models --store /data/models
      retention models --store /data/models --promote 2 --note "labels of October"
      retention models --store /data/models --rollback --note "too many complaints"
    """
    from job.storage.models import ModelStore, summarise_versions  # noqa: PLC0415

    if promote is not None and rollback:
        raise SettingsError("--promote and --rollback do not go together")
    models_store, user = ModelStore(store), getpass.getuser()
    if promote is not None:
        models_store.promote(promote, user=user, note=note)
    elif rollback:
        models_store.roll_back(user=user, note=note)
    versions = models_store.versions()
    return Answer(summarise_versions(versions), {"versions": versions})


@main.command()
@_OUTPUT
@click.pass_obj
def verify(call: Invocation, *, output: Place) -> Answer:
    """Read every file of every run, and compare it with its manifest; write nothing.

    Example:
      retention verify --output /data/out
    """
    from job.storage.run import verify_place  # noqa: PLC0415

    verified = verify_place(output)
    problems = [str(problem) for problem in verified.problems]
    exit_code = ArtifactError.exit_code if problems else EXIT_PUBLISHED
    result = {"exit_code": exit_code, "problems": problems, "runs": verified.runs, "files": verified.files}
    call.problems = len(problems)
    text = f"{verified.runs:,} runs, {verified.files:,} files, {len(problems):,} problems."
    return Answer(text, result, problems)
