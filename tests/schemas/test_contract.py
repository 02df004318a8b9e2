"""One contract has one rule: what the fast expression says, Pandera says, of every frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from schemas.columns import TABLES
from schemas.contract import FINITE, Contract, Field, Rule, check
from schemas.features import FEATURES
from schemas.pandera_schemas import pandera_schema
from schemas.scored import SCORED, SCORED_COLUMNS, check_scored

if TYPE_CHECKING:
    from collections.abc import Callable

CONTRACTS = [
    *(table.contract(labelled=labelled) for table in TABLES.values() for labelled in (False, True)),
    FEATURES,
    SCORED,
]
NUMBERS = [float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 0.5, 1.0, 1.01, 1e9, 1e18]
WHOLES = [-(2**63), -1, 0, 1, 2, 10, 11, 10_001, 10**18, 2**63 - 1]


def values(field: Field) -> st.SearchStrategy[Any]:
    """Return values of a column, some of which keep its rules and some do not."""
    if isinstance(field.dtype, pl.Enum):
        return st.sampled_from(list(field.dtype.categories))
    if field.dtype == pl.String:
        return st.sampled_from(["treatment", "control", "none", "", "other"])
    if field.dtype == pl.Boolean:
        return st.booleans()
    if field.dtype == pl.Float64:
        return st.sampled_from(NUMBERS)
    most = 2**7 if field.dtype == pl.Int8 else 2**63
    return st.sampled_from([whole for whole in WHOLES if -most <= whole < most])


@st.composite
def frames(draw: st.DrawFn, contract: Contract) -> pl.DataFrame:
    """Return a frame with the contract's columns; each of its columns has few odd values, so that some frames pass."""
    rows = draw(st.integers(0, 3))
    columns = {}
    for field in contract.fields:
        odd = draw(st.integers(0, 5)) == 0
        drawn = (
            st.none() | values(field) if odd else values(field).filter(lambda value, field=field: keeps(field, value))
        )
        columns[field.name] = draw(st.lists(drawn, min_size=rows, max_size=rows))
        if field.rises and not odd:
            columns[field.name] = list(range(1, rows + 1))
    return pl.DataFrame(columns, schema=contract.dtypes)


def keeps(field: Field, value: object) -> bool:
    frame = pl.DataFrame({field.name: [value]}, schema={field.name: field.dtype})
    return bool(frame.select(field.is_kept()).item())


def pandera_takes(contract: Contract, frame: pl.DataFrame) -> bool:
    try:
        pandera_schema(contract).validate(frame, lazy=True)
    except SchemaErrors:
        return False
    return True


@pytest.mark.parametrize("contract", CONTRACTS, ids=[f"{own.name}-{len(own.fields)}" for own in CONTRACTS])
@given(data=st.data())
def test_the_fast_rule_and_pandera_say_the_same(contract: Contract, data: st.DataObject) -> None:
    frame = data.draw(frames(contract))
    assert contract.is_kept(frame) is pandera_takes(contract, frame)


SMALL = Contract(
    "small",
    (
        Field("id", pl.Int64(), rises=True),
        Field("share", pl.Float64(), (Rule("is within 0..1", 0, 1), FINITE)),
        Field("word", pl.String(), (Rule("is a or b", words=("a", "b")),), may_be_null=True),
    ),
)
GOOD = pl.DataFrame({"id": [1, 2], "share": [0.0, 1.0], "word": ["a", None]}, schema=SMALL.dtypes)


@pytest.mark.parametrize(
    ("spoil", "column", "fact"),
    [
        (lambda good: good.reverse(), "id", "is above the one before"),
        (lambda good: good.with_columns(id=pl.lit(1, pl.Int64)), "id", "is above the one before"),
        (lambda good: good.with_columns(id=pl.lit(None, pl.Int64)), "id", "not_nullable"),
        (lambda good: good.with_columns(share=pl.lit(1.5)), "share", "is within 0..1"),
        (lambda good: good.with_columns(share=pl.lit(None, pl.Float64)), "share", "not_nullable"),
        (lambda good: good.with_columns(word=pl.lit("c")), "word", "is a or b"),
        (lambda good: good.with_columns(id=pl.col("id").cast(pl.Int32)), "id", "dtype('Int64')"),
        (lambda good: good.select("share", "id", "word"), "small", "column_ordered"),
        (lambda good: good.drop("word"), "small", "column_in_dataframe"),
        (lambda good: good.with_columns(more=1), "small", "column_in_schema"),
    ],
)
def test_each_fault_is_named(spoil: Callable[[pl.DataFrame], pl.DataFrame], column: str, fact: str) -> None:
    check(GOOD, SMALL)
    with pytest.raises(SchemaErrors) as caught:
        check(spoil(GOOD), SMALL)
    named = caught.value.failure_cases.select("column", "check").rows()
    assert (column, fact) in named


def test_a_fast_rule_that_pandera_contradicts_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contract, "is_kept", lambda *_: False)
    with pytest.raises(AssertionError, match=r"^small: the fast rule refuses what Pandera takes: "):
        check(GOOD, SMALL)


def test_the_output_frame_is_in_the_order_of_its_ids() -> None:
    row = {
        "id": 1,
        "decline_probability": 0.5,
        "risk_decile": 1,
        "monthly_profit": -2.0,
        "profit_at_risk": -3.0,
        "expected_value": 0.0,
        "segment": "rest",
        "offer": "onsite",
        "contact_allowed": True,
        "campaign_group": "none",
        "in_training": False,
    }
    scored = pl.DataFrame([row, {**row, "id": 2}], schema=SCORED.dtypes)
    assert tuple(scored.columns) == SCORED_COLUMNS
    check_scored(scored)
    with pytest.raises(SchemaErrors) as caught:
        check_scored(scored.reverse())
    assert caught.value.failure_cases.select("column", "check").rows() == [("id", "is above the one before")]
