"""What a frame must be, as plain records: the one source of the fast rule and of the Pandera rule of each contract.

The fast rule, one expression, tells whether anything is wrong; what that is, Pandera says, which is as slow to load as
Polars and is loaded only then (`schemas.pandera_schemas`, made from the same records).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator


class Rule(NamedTuple):
    """What must be true of each value of a column that is not null.

    Args:
        fact: what it is called: what `rejected.csv` and messages say.
        low: the lowest value, if there is one.
        high: the highest value, if there is one.
        words: the only values, if the column holds words.
        broken: what people read of a value that breaks it, in Russian; nothing where only the job itself could.
    """

    fact: str
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] | None = None
    broken: str = ""

    def holds(self, column: pl.Expr) -> pl.Expr:
        """Return where the rule holds (Boolean, null where the value is). Without bounds and words: is finite."""
        if self.words is not None:
            return column.is_in(self.words)
        if self.low is None and self.high is None:
            return column.is_finite()
        if self.low is None:
            return column <= self.high
        return column >= self.low if self.high is None else column.is_between(self.low, self.high)


FINITE = Rule("is finite")


class Field(NamedTuple):
    """A column of a frame.

    Args:
        name: of the column.
        dtype: of the column.
        rules: what must be true of each of its values.
        may_be_null: a value may be missing.
        rises: each value is above the one of the row before.
    """

    name: str
    dtype: pl.DataType
    rules: tuple[Rule, ...] = ()
    may_be_null: bool = False
    rises: bool = False

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
    """What a frame must be: these columns in this order, and nothing else.

    Args:
        name: of the frame.
        fields: its columns.
        unique: the columns that together tell its rows apart; none where nothing does.
    """

    name: str
    fields: tuple[Field, ...]
    unique: tuple[str, ...] = ()

    @property
    def dtypes(self) -> pl.Schema:
        """Column -> dtype, in order."""
        return pl.Schema({field.name: field.dtype for field in self.fields})

    def is_kept(self, frame: pl.DataFrame) -> bool:
        """Return whether a frame keeps the contract: the fast rule."""
        if frame.schema != self.dtypes or not bool(frame.select(pl.all_horizontal(self._sound())).item()):
            return False
        return not (self.unique and frame.select(pl.struct(self.unique).is_duplicated().any()).item())

    def _sound(self) -> Iterator[pl.Expr]:
        for field in self.fields:
            yield field.is_sound()
