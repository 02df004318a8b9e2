"""The house's laws: imports run one way, and a command loads only what it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Room -> the rooms that it may import. Longer names win: job.models before job.
ALLOWED = {
    "schemas": set(),
    "job.errors": set(),
    "job.text_table": set(),
    "job.hashing": set(),
    "job.memory": set(),
    "job.prefetch": set(),
    "job.rounding": set(),
    "job.spill": {"job.errors", "job.memory"},
    "job.executor": {"job.errors", "job.prefetch"},
    "job.levels": {"schemas", "job.errors"},
    "job.russian": set(),
    "job.settings": {"job.errors"},
    "job.statistics": set(),
    "job.accuracy": {"job.statistics"},
    "job.files": set(),
    "job.beneath": set(),
    "job.process": {"schemas", "job.errors", "job.files", "job.beneath"},
    "job.intake": {
        "schemas",
        "job.errors",
        "job.settings",
        "job.files",
        "job.beneath",
        "job.memory",
        "job.prefetch",
        "job.rounding",
        "job.spill",
        "job.executor",
        "job.levels",
        "job.text_table",
    },
    "job.validate": {"job.errors", "job.settings", "job.features", "job.intake", "job.memory", "job.spill"},
    "job.features": {"schemas", "job.errors"},
    "job.sample": {"schemas", "job.errors", "job.hashing", "job.statistics"},
    "job.models": {
        "schemas",
        "job.errors",
        "job.files",
        "job.hashing",
        "job.levels",
        "job.prefetch",
        "job.rounding",
        "job.russian",
    },
    "job.scoring": {"job.report", "job.process"},
    "job.storage": {"job.scoring", "job.training", "job.process"},
    "job.training": {"job.report"},
    "job.spark": {"job.scoring", "job.report"},
    "job.campaign": {"job.sample", "job.scoring", "job.report"},
    "job.history": {"job.scoring", "job.report"},
    "job.report": set(),
    "job.cli": {
        "job.scoring",
        "job.storage",
        "job.spark",
        "job.training",
        "job.campaign",
        "job.history",
        "job.report",
        "job.sample",
        "job.process",
    },
    "job.__main__": {"job.cli", "job.errors", "job.memory", "job.process", "job.storage"},
}
BELOW = {
    "schemas",
    "job.errors",
    "job.settings",
    "job.text_table",
    "job.files",
    "job.beneath",
    "job.memory",
    "job.hashing",
    "job.rounding",
    "job.statistics",
    "job.accuracy",
    "job.prefetch",
    "job.spill",
    "job.executor",
    "job.levels",
    "job.validate",
    "job.russian",
    "job.intake",
    "job.features",
    "job.models",
}
for upper in (
    "job.scoring",
    "job.storage",
    "job.spark",
    "job.training",
    "job.campaign",
    "job.history",
    "job.report",
    "job.cli",
):
    ALLOWED[upper] = ALLOWED[upper] | BELOW


def room_of(module: str) -> str | None:
    rooms = [room for room in ALLOWED if module == room or module.startswith(f"{room}.")]
    return max(rooms, key=len) if rooms else None


def imports_of(path: Path) -> set[str]:
    return imports_of_tree(ast.parse(path.read_text()), path)


def imports_of_tree(tree: ast.AST, path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules.add(node.module or "")
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def modules() -> list[tuple[str, Path]]:
    paths = [*ROOT.glob("job/**/*.py"), *ROOT.glob("schemas/**/*.py")]
    return [(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path) for path in paths]


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_imports_run_one_way(module: str, path: Path) -> None:
    if module == "job":
        assert not {name for name in imports_of(path) if name.startswith(("job", "schemas"))}
        return
    room = room_of(module)
    assert room is not None, f"{module} is in no room: add it to ALLOWED"
    used = {other for name in imports_of(path) if (other := room_of(name)) is not None and other != room}
    assert used <= ALLOWED[room], f"{module} imports {sorted(used - ALLOWED[room])}"


def test_only_the_command_line_knows_click() -> None:
    users = [module for module, path in modules() if any(name.split(".")[0] == "click" for name in imports_of(path))]
    assert users == ["job.cli"]


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(chr(10).join(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.split(".")[0] for name in printed.stdout.splitlines()}


def test_help_starts_without_heavy_libraries() -> None:
    heavy = {"polars", "pandera", "sklearn", "lightgbm", "numpy", "scipy", "pandas"}
    assert not heavy & loaded_by("import job.cli, job.__main__")


def test_scoring_with_the_linear_model_needs_no_training_library() -> None:
    """In the environment with everything installed, too: nothing drags them in."""
    training = {"sklearn", "lightgbm", "optuna", "scipy", "joblib", "pandas", "matplotlib"}
    code = "import job.scoring.pipeline, job.models.linear, job.models.artifact, job.report.page"
    assert not training & loaded_by(code)


def test_scoring_loads_neither_network_nor_what_only_some_drops_need() -> None:
    """Pandera, for example, is asked about rows that break a rule, and no others."""
    unused = {"asyncio", "ssl", "http", "secrets", "obstore", "zstandard", "xlsxwriter", "pandera", "pydantic"}
    code = "import job.cli, job.models.artifact, job.scoring.summary, job.storage.run"
    assert not unused & loaded_by(code)


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Return the modules that can be reached from themselves."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(arrows[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += arrows[module]
        return seen

    return [module for module in arrows if module in reached(module)]


def test_no_module_imports_itself_round_a_circle() -> None:
    """Imports within functions count, imports for types alone do not."""
    paths = dict(modules())
    arrows = {module: imports_at_run(path) & paths.keys() - {module} for module, path in paths.items()}
    assert circles(arrows) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def imports_at_run(path: Path) -> set[str]:
    """Return what a module imports, without what stands under `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return imports_of_tree(tree, path)
