"""What the months have taught, from manifests and lifts alone: figures can be computed again from what lies there."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from job.cli import main
from job.history.data import describe_history
from job.history.page import render_history
from job.sample import write_drop
from job.statistics import Effect, pool_effects
from tests.faults.processes import UNMOVED

GONE = "0123456789abcdef"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def lift_of(run_id: str, effect: float, error: float, *, net: float = 10.0) -> dict[str, Any]:
    """Return what `lift.json` says of a run, as far as history reads it."""
    return {
        "run_id": run_id,
        "offers": [
            {
                "offer": "personal_discount",
                "treated": 100,
                "control": 50,
                "effect": effect,
                "low": effect - 1.96 * error,
                "high": effect + 1.96 * error,
                "standard_error": error,
            },
            {
                "offer": "promo",
                "treated": 3,
                "control": 0,
                "effect": None,
                "low": None,
                "high": None,
                "standard_error": None,
            },
        ],
        "overall": {
            "groups": {"treatment": {"in_run": 103}, "control": {"in_run": 50}},
            "effects": {"decline_rate": {"difference": -0.08, "low": -0.14, "high": -0.02, "p_value": 0.009}},
            "worth": {"net": net, "net_low": net - 5.88, "net_high": net + 5.88},
        },
        "model": {"untreated": {"roc_auc": 0.91}},
    }


def write_lift(output: Path, run_id: str, plain: dict[str, Any]) -> None:
    folder = output / "lift" / run_id
    folder.mkdir(parents=True)
    (folder / "lift.json").write_text(json.dumps(plain), encoding="utf-8")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of which one was measured, a lift whose run is gone, and one that is none."""
    folder = tmp_path_factory.mktemp("history")
    write_drop(folder / "drop", customers=400, seed=3, labelled=False, clean=True)
    for name in ("october", "november"):
        common = ("--output", folder / "out", "--no-report", "--format", "csv", *UNMOVED)
        assert call("score", "--input", folder / "drop", *common, "--campaign", name).exit_code == 0
        if name == "october":
            run_id = (folder / "out" / "latest").resolve().name
    output = folder / "out"
    write_lift(output, run_id, lift_of(run_id, 0.5, 0.1))
    write_lift(output, GONE, lift_of(GONE, 0.3, 0.2, net=-4.0))
    write_lift(output, "f" * 16, {"run_id": "f" * 16})
    return output


def test_offers_are_pooled_over_the_campaigns_and_the_assumption(output: Path) -> None:
    history = describe_history(output)
    [discount] = [row for row in history["offers"] if row["offer"] == "personal_discount"]
    pooled = pool_effects([Effect(0.3, 0.2), Effect(0.5, 0.1)], assumed=0.3)
    assert discount == {
        "offer": "personal_discount",
        "text": "Персональная скидка и бонусы; напомнить о неоплаченных товарах в корзине",
        "effect": pytest.approx(pooled.effect, rel=1e-9),
        "low": pytest.approx(pooled.low, rel=1e-9),
        "high": pytest.approx(pooled.high, rel=1e-9),
        "assumed": 0.3,
        "weight_of_assumption": pytest.approx(pooled.weight_of_assumption, rel=1e-9),
        "campaigns": 2,
        "treated": 200,
        "control": 100,
    }
    [promo] = [row for row in history["offers"] if row["offer"] == "promo"]
    assert (promo["effect"], promo["weight_of_assumption"], promo["campaigns"]) == (0.2, 1.0, 0)
    assert [row["effect"] for row in history["offers"]] == sorted(
        (r["effect"] for r in history["offers"]), reverse=True
    )


def test_what_was_expected_stands_beside_what_came(output: Path) -> None:
    history = describe_history(output)
    october, gone = history["campaigns"]
    manifest = json.loads((output / "runs" / october["run_id"] / "manifest.json").read_bytes())
    assert october["name"] == "october"
    assert october["expected_value"] == manifest["campaign"]["expected_value"]
    assert october["fall"] == {"mean": 0.08, "low": 0.02, "high": 0.14}
    assert october["net"] == {"mean": 10.0, "low": 4.12, "high": 15.88}
    assert (gone["run_id"], gone["name"], gone["expected_value"]) == (GONE, None, None)
    assert history["expected"] == {
        "campaigns": 1,
        "expected_value": october["expected_value"],
        "net": {"mean": 10.0, "low": pytest.approx(4.12), "high": pytest.approx(15.88)},
    }
    found = {run["campaign"]: run["roc_auc_found"] for run in history["runs"]}
    assert found == {"november": None, "october": 0.91}
    assert history["warnings"] == [f"the lift of run {'f' * 16} is not used: no offers"]


def test_the_command_prints_and_writes_the_same(output: Path) -> None:
    result = call("history", "--output", output, "--json")
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    schema = Path(__file__).parents[2] / "docs" / "schemas" / "history.json"
    jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8"))).validate(printed)
    assert printed["campaigns"][0]["net"]
    assert printed == json.loads((output / "history.json").read_bytes()) == describe_history(output)
    before = (output / "history.html").read_bytes()
    text = call("history", "--output", output).stdout
    assert (output / "history.html").read_bytes() == before
    assert text.splitlines()[0] == "Offers: share of the declines that each prevents"
    assert text.splitlines()[-2] == f"Note: the lift of run {'f' * 16} is not used: no offers"
    assert text.splitlines()[-1] == f"Page: {output / 'history.html'}"


class _Texts(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - of HTMLParser
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_loads_nothing_and_escapes_what_others_wrote(output: Path) -> None:
    history = describe_history(output)
    history["campaigns"][0]["name"] = history["offers"][0]["text"] = "<script>alert(1)</script>"
    page = render_history(history)
    read = _Texts(page)
    assert not {"script", "link rel", "img"} & read.tags
    assert "<script>alert(1)</script>" in read.text
    assert not re.search(r"https?://", page)
    assert """content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">""" in page
    assert "Вместе: ожидали" in read.text


def test_an_output_without_runs_has_a_page_too(tmp_path: Path) -> None:
    result = call("history", "--output", tmp_path)
    assert result.exit_code == 0
    assert "Ни одна кампания ещё не измерена" in (tmp_path / "history.html").read_text(encoding="utf-8")
    missing = call("history", "--output", tmp_path / "none")
    assert (missing.exit_code, missing.stderr) == (
        2,
        f"{'--output'}: found {tmp_path / 'none'}, expected the folder where runs are published\n",
    )
