"""What a frame must be, as plain records: the one source of the fast rule and of the Pandera rule of each contract.

The fast rule, one expression, tells whether anything is wrong; what that is, Pandera says, which is as slow to load as
Polars and is loaded only then (`schemas.pandera_schemas`, made from the same records).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import polars as pl


class Rule(NamedTuple):
    """What must be true of each value of a column that is not null."""

    fact: str  # what it is called: what `rejected.csv` and messages say
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] | None = None  # the only values, if the column holds words
    broken: str = ""  # what people read of a value that breaks it, in Russian; nothing where only the job itself could

    def holds(self, column: pl.Expr) -> pl.Expr:
        """Return where the rule holds (Boolean, null where the value is). Without bounds and words: is finite."""
        if self.words is not None:
            return pl.any_horizontal(column == word for word in self.words)  # of few words a third of `is_in`'s time
        if self.low is None and self.high is None:
            return column.abs() < math.inf  # not of NaN; half of `is_finite`'s time
        if self.low is None:
            return column <= self.high
        return column >= self.low if self.high is None else column.is_between(self.low, self.high)


FINITE = Rule("is finite")


class Field(NamedTuple):
    """A column of a frame."""

    name: str
    dtype: pl.DataType
    rules: tuple[Rule, ...] = ()  # what must be true of each of its values
    may_be_null: bool = False
    rises: bool = False  # each value is above the one of the row before

    def is_kept(self) -> pl.Expr:
        """Return whether each value keeps the rules about single values (Boolean, never null)."""
        value = pl.col(self.name)
        given = pl.lit(value=True) if self.may_be_null else value.is_not_null()
        return pl.all_horizontal(given, *(rule.holds(value).fill_null(value=True) for rule in self.rules))

    def is_sound(self) -> pl.Expr:
        """Return whether the whole column keeps all rules (Boolean, one value)."""
        sound = self.is_kept().all()
        return sound & (pl.col(self.name).diff() > 0).all() if self.rises else sound


class Contract(NamedTuple):
    """What a frame must be: these columns in this order, and nothing else."""

    name: str
    fields: tuple[Field, ...]
    unique: tuple[str, ...] = ()  # the columns that together tell its rows apart; none where nothing does

    @property
    def dtypes(self) -> pl.Schema:
        """Column -> dtype, in order."""
        return pl.Schema({field.name: field.dtype for field in self.fields})

    def is_kept(self, frame: pl.DataFrame) -> bool:
        """Return whether a frame keeps the contract: the fast rule."""
        sound = pl.all_horizontal(field.is_sound() for field in self.fields)
        if frame.schema != self.dtypes or not bool(frame.select(sound).item()):
            return False
        return not (self.unique and frame.select(pl.struct(self.unique).is_duplicated().any()).item())


def check(frame: pl.DataFrame, contract: Contract) -> None:
    """Raise pandera.errors.SchemaErrors, which names every fault, if a frame does not keep its contract.

    Raises AssertionError if Pandera finds nothing where the fast rule does: both are made from the same records.
    """
    if contract.is_kept(frame):
        return
    from schemas.pandera_schemas import pandera_schema  # noqa: PLC0415 - slow to load

    pandera_schema(contract).validate(frame, lazy=True)
    raise AssertionError(f"{contract.name}: the fast rule refuses what Pandera takes: {frame}")
