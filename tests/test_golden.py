"""Every folder in `golden/` is a drop and what the command must make of it."""

import json
from pathlib import Path

import pytest

from job.errors import EXIT_LOOK, EXIT_PUBLISHED
from tests.golden.judge import judge, score
from tests.golden.make_cases import CASES

GOLDEN = Path(__file__).parent / "golden"
OTHER_CONTENT = ("dialect-quoted-separators-and-quotes",)
FOUND = sorted(path.parent.name for path in GOLDEN.glob("*/expected.json"))


def test_every_case_can_be_made_again() -> None:
    assert sorted(CASES) == FOUND


@pytest.mark.parametrize("name", FOUND)
def test_case(name: str) -> None:
    expected = json.loads((GOLDEN / name / "expected.json").read_text(encoding="utf-8"))
    options = expected.pop("options")
    assert judge(GOLDEN / name / "drop", options) == expected
    assert expected["stderr"] == expected["problems"]


@pytest.fixture(scope="module")
def plain_scores(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    output = tmp_path_factory.mktemp("plain")
    score(GOLDEN / "dialect-plain" / "drop", output, [])
    return scored_bytes(output)


def scored_bytes(output: Path) -> list[bytes]:
    return [(output / "latest" / name).read_bytes() for name in ("scored.csv", "scored.parquet")]


@pytest.mark.parametrize("name", FOUND)
def test_score_publishes_only_what_is_accepted(name: str, tmp_path: Path, plain_scores: list[bytes]) -> None:
    expected = json.loads((GOLDEN / name / "expected.json").read_text(encoding="utf-8"))
    options = expected["options"]
    if "--labelled" in options:
        pytest.skip("`score` passes over the label")
    code, problems = score(GOLDEN / name / "drop", tmp_path / "out", options)
    published = [path.name for path in (tmp_path / "out" / "runs").glob("*/_SUCCESS")]
    if expected["exit_code"] == EXIT_PUBLISHED:
        assert code in (EXIT_PUBLISHED, EXIT_LOOK)
        assert published == ["_SUCCESS"]
        if name.startswith("dialect-") and name not in OTHER_CONTENT:
            assert scored_bytes(tmp_path / "out") == plain_scores
    else:
        assert (code, problems) == (expected["exit_code"], expected["stderr"])
        assert published == []
        assert not (tmp_path / "out" / "latest").exists()
