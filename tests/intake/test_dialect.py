import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.errors import DropError
from job.intake.dialect import Dialect, match_headings, recognise_dialect, split_line
from schemas.columns import MARKET_FILE, MARKET_MONEY, MONEY, TABLES, Table
from tests.intake.drops import make_mojibake

BEST = "«"


def recognise(sample: bytes, table: Table = MONEY, *, labelled: bool = False) -> Dialect:
    return recognise_dialect(f"{table.name}.csv", sample, table, labelled=labelled)


def refusal(sample: bytes, table: Table = MONEY) -> tuple[str, ...]:
    with pytest.raises(DropError) as caught:
        recognise(sample, table)
    return caught.value.problems


HEADINGS = "id;Прибыль\r\n1;2\r\n"


@pytest.mark.parametrize(
    ("sample", "encoding", "mojibake"),
    [
        (HEADINGS.encode(), "utf-8", False),
        (HEADINGS.encode("utf-8-sig"), "utf-8-sig", False),
        (HEADINGS.encode("cp1251"), "cp1251", False),
        (HEADINGS.encode("utf-16"), "utf-16", False),
        (b"\xfe\xff" + HEADINGS.encode("utf-16-be"), "utf-16", False),
        (HEADINGS.encode("utf-16-le"), "utf-16-le", False),
        (HEADINGS.encode("utf-16-be"), "utf-16-be", False),
        (make_mojibake(HEADINGS).encode(), "utf-8", True),
        (make_mojibake("\ufeff" + HEADINGS).encode(), "utf-8", True),
        (make_mojibake("\ufeff" + HEADINGS).encode("utf-8-sig"), "utf-8-sig", True),
    ],
)
def test_encoding(sample: bytes, encoding: str, mojibake: bool) -> None:  # noqa: FBT001
    assert recognise(sample) == Dialect(encoding, mojibake, ";", ("id", "monthly_profit"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separator_and_trailing_ones(separator: str) -> None:
    sample = separator.join(['"ID"', " прибыль ", "", " "]).encode()
    assert recognise(sample) == Dialect("utf-8", mojibake=False, separator=separator, columns=("id", "monthly_profit"))


def test_first_line_is_data() -> None:
    assert refusal(b"215348;0,98\r\n215349;4,16\r\n") == (
        (
            "money.csv, row 1: found 215348;0,98, expected headings such as id, Прибыль "
            "(in UTF-8, UTF-16 or cp1251; separated by , ; or tab)"
        ),
    )


@pytest.mark.parametrize(
    "sample", [b"", b"\n", b"\0" * 50, b"PAR1\xff\xfe", b"\xff\xfe\0\0", b"x" * 300_000, b";" * 300_000]
)
def test_no_headings(sample: bytes) -> None:
    (problem,) = refusal(sample)
    assert "expected headings such as id, Прибыль" in problem
    assert len(problem) < 400


def test_separator_in_doubt() -> None:
    assert refusal("id,Период;Выручка\n".encode(), MARKET_MONEY) == (
        "market_money.csv, row 1: found 1 known headings with ',' and with ';', expected headings with one separator",
    )


def test_headings_are_all_named() -> None:
    assert refusal("id;Прбыль;\x1b[31m;;id\n".encode()) == (
        "money.csv, column «Прбыль»: found an unknown heading, expected only the table's own headings",
        (
            "money.csv, column «\\x1b[31m»: found an unknown heading, with U+001B a control character, "
            "expected only the table's own headings"
        ),
        "money.csv, column «»: found an empty heading, expected only the table's own headings",
        "money.csv, column «Прибыль»: found none, expected a column with this heading",
        "money.csv, column «id»: found 2, expected one column with this heading",
    )


def test_many_unknown_headings_are_counted() -> None:
    problems = refusal(("id;Прибыль;" + ";".join(f"x{place}" for place in range(100))).encode())
    assert len(problems) == 21
    assert problems[-1] == "money.csv: found 80 more unknown headings, expected only the table's own headings"


def test_label_is_needed_for_training_only() -> None:
    headings = [heading.delivered for heading in MARKET_FILE.expected(labelled=False)]
    assert "activity" not in match_headings("x", headings, MARKET_FILE, labelled=False)
    with pytest.raises(DropError, match="column «Покупательская активность»: found none"):
        match_headings("x", headings, MARKET_FILE, labelled=True)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_spelling_of_headings_does_not_matter(table: Table) -> None:
    spelled = [h.delivered.upper().replace("_", "  ").replace("Е", "Ё") + "\u00a0" for h in table.headings]
    assert match_headings("x", spelled, table, labelled=True) == tuple(h.name for h in table.headings)


@given(st.binary(max_size=200))
def test_any_bytes_are_recognised_or_refused(sample: bytes) -> None:
    try:
        assert recognise("id;Прибыль\n".encode()[: len(sample)] + sample).separator in ",;\t"
    except DropError as error:
        assert error.problems  # noqa: PT017


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ('1,"a,b",""', ["1", "a,b", ""]),
        ('"a ""b"" c"', ['a "b" c']),
        ('a"b,c', ['a"b', "c"]),
        ('"a"b', None),
        ('"a', None),
        ("", []),
    ],
)
def test_split_line(line: str, fields: list[str] | None) -> None:
    assert split_line(line, ",") == fields


def misread(right: str, wrong: str, times: int = 1) -> bytes:
    text = "id;Прибыль\r\n1;2,5\r\n"
    for _ in range(times):
        text = text.encode(right).decode(wrong, errors="replace")
    return text.encode()


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        *(
            ("id;Прибыль\n1;2".encode(other), f"{other} text")
            for other in ("koi8-r", "cp866", "mac-cyrillic", "utf-32")
        ),
        *(
            (misread(right, wrong), f"{right} text that was read as {wrong} and saved so")
            for right, wrong in [("utf-8", "latin-1"), ("utf-8", "cp866"), ("utf-8", "koi8-r"), ("cp1251", "cp866")]
        ),
        (misread("cp1251", "koi8-r"), "cp1251 text that was read as koi8-r and saved so"),
        (misread("cp866", "cp1251"), "cp866 text that was read as cp1251 and saved so"),
        (misread("koi8-r", "cp1251"), "koi8-r text that was read as cp1251 and saved so"),
        (misread("utf-8", "cp1251", 2), "utf-8 text that was read as cp1251 and saved so, twice"),
        (b"id;???????\n1;2", "text whose Russian letters were lost: each is a question mark"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_how_headings_came_to_be_unreadable_is_one_line(sample: bytes, told: str) -> None:
    with pytest.raises(DropError) as caught:
        recognise_dialect("money.csv", sample, TABLES["money"], labelled=False)
    assert caught.value.problems == (
        f"money.csv: found {told}, expected headings in UTF-8, UTF-16 or cp1251 (export the table again)",
    )
