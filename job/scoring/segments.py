"""Segments and their offers: data in a TOML file that marketing edits, checked as a whole before anything is scored."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from job.errors import Problem, SettingsError
from job.scoring.conditions import CONDITION_COLUMNS, ConditionError, is_always_true, parse_condition
from schemas.phrases import CHANNELS, ONSITE, Theme

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from job.models.artifact import Thresholds

DEFAULT_FILE: Final = Path(__file__).with_name("segments.toml")
COST_PARTS: Final = 10_000  # costs and budgets are counted in whole parts of the shop's unit, so that sums are exact
DEFAULT_EFFECT: Final = (
    0.1  # where a file says nothing of an offer: an assumption, as every effect that nobody measured
)
DEFAULT_PROFIT_LOST: Final = 0.5
SHARE_ERROR: Final = 1e-6  # thirds cannot be written exactly
HIGHEST_COST: Final = 1_000_000
LONGEST_TITLE: Final = 100
LONGEST_TEXT: Final = 500
LARGEST_FILE: Final = 1 << 16  # bytes; the shipped file has 8,500
_LINE: Final = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")
LONGEST_LINE: Final = 1_000  # characters: the time that a key takes grows with the square of its dots
LOWEST_PRIORITY: Final = 1_000_000  # also below zero

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Offer(NamedTuple):
    """What a customer is offered.

    Args:
        code: its name in `scored`.
        text: in Russian.
        channel: one of `CHANNELS`.
        cost: of one contact, in the unit of `monthly_profit`; 0 on the site.
        effect: share of the declines that it prevents, assumed or measured; 0 on the site, where nobody is contacted.
        discount: share of the profit that it gives away.
    """

    code: str
    text: str
    channel: str = ONSITE
    cost: float = 0.0
    effect: float = 0.0
    discount: float = 0.0

    @property
    def is_message(self) -> bool:
        """Whether it is sent to the customer, which needs consent."""
        return self.channel != ONSITE


@dataclass(frozen=True)
class Segment:
    """A group of customers that gets one offer, or several by lot.

    Args:
        code: its name in `scored`.
        title: in Russian.
        condition: as written.
        expression: the condition over `CONDITION_COLUMNS`.
        priority: a customer belongs to the segment with the lowest one of those whose condition holds.
        offers: what its customers are offered.
        shares: of its customers that are offered each; together 1.
        onsite_offer: what those of them see who have not allowed messages.
    """

    code: str
    title: str
    condition: str
    expression: pl.Expr = field(compare=False)
    priority: int
    offers: tuple[Offer, ...]
    shares: tuple[float, ...]
    onsite_offer: Offer


class Segmentation(NamedTuple):
    """All segments, by priority.

    Args:
        file: the name of the file.
        digest: SHA-256 of its bytes.
        segments: by priority; the last one takes every customer that is left.
        hints: theme of a reason -> what can be done about it; of some themes or of none.
        profit_lost: share of the profit that is lost when a customer's activity falls.
        assumed: offer -> the effect that the file assumes, of those that are messages.
    """

    file: str
    digest: str
    segments: tuple[Segment, ...]
    hints: Mapping[str, str]
    profit_lost: float
    assumed: Mapping[str, float]

    def with_effects(self, effects: Mapping[str, float]) -> Segmentation:
        """Return the same with other effects of some offers. Args: effects: offer -> its effect."""
        segments = tuple(
            replace(
                segment,
                offers=tuple(offer._replace(effect=effects.get(offer.code, offer.effect)) for offer in segment.offers),
            )
            for segment in self.segments
        )
        return self._replace(segments=segments)

    def assign(self, customers: pl.DataFrame, thresholds: Thresholds) -> pl.Series:
        """Return where each customer's segment stands in `segments` (`segment_row`, UInt32; never null), in order.

        Args:
            customers: the feature frame with `decline_probability`, `risk_decile`, `monthly_profit`, `profit_at_risk`
                and `contact_allowed`.
            thresholds: what counts as high.
        """
        levels = {
            "high_risk": pl.col("decline_probability") >= thresholds.risk,
            "high_profit": pl.col("monthly_profit") >= thresholds.profit,
            "high_promo": pl.col("promo_share") >= thresholds.promo_share,
        }
        row = pl.coalesce(
            pl.when(segment.expression).then(pl.lit(number, pl.UInt32)) for number, segment in enumerate(self.segments)
        )
        known = customers.with_columns(**levels).select(
            pl.col(name).cast(dtype) for name, dtype in CONDITION_COLUMNS.items()
        )
        return known.select(row.alias("segment_row")).to_series()

    def offers(self) -> pl.DataFrame:
        """Return one row per segment and offer, by priority, then as in the file.

        Columns: `segment`, `title`, `offer`, `offer_text`, `channel`, `onsite_offer` (String), `is_message` (Boolean),
        `cost_parts` (Int64; of `COST_PARTS` to the unit), `effect`, `discount`, `share` (Float64).
        """
        return _offers(self.segments)


@cache
def _offers(segments: tuple[Segment, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "segment": segment.code,
                "title": segment.title,
                "offer": offer.code,
                "offer_text": offer.text,
                "channel": offer.channel,
                "is_message": offer.is_message,
                "cost_parts": round(offer.cost * COST_PARTS),
                "effect": offer.effect,
                "discount": offer.discount,
                "share": share,
                "onsite_offer": segment.onsite_offer.code,
            }
            for segment in segments
            for offer, share in zip(segment.offers, segment.shares, strict=True)
        ]
    )


def load_segmentation(path: Path | None = None) -> Segmentation:
    """Read and check a segments file; `segments.toml` beside this module says how it is written.

    Args:
        path: None is the shipped one.

    Raises:
        SettingsError: it cannot be read, or something in it is wrong; every problem is named.
    """
    path = path or DEFAULT_FILE
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SettingsError([Problem(str(path), "a segments file that can be read", error.strerror)]) from error
    if len(raw) > LARGEST_FILE:
        raise SettingsError([Problem(path.name, f"at most {LARGEST_FILE:,} bytes", "more")])
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        for number, written in enumerate(text.split("\n"), start=1):
            if len(written) > LONGEST_LINE:
                raise SettingsError(
                    [Problem(path.name, f"at most {LONGEST_LINE:,} characters", f"{len(written):,}", row=number)]
                )
        plain = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError([Problem(path.name, "UTF-8", f"byte 0x{raw[error.start]:02x}", row=line)]) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
        raise SettingsError([_not_toml(path.name, raw, error)]) from error
    reader = _Reader(path.name)
    segments, hints = reader.segments(plain), reader.hints(plain.get("hints", {}))
    profit_lost = reader.share("profit_lost", plain.get("profit_lost", DEFAULT_PROFIT_LOST))
    if reader.problems:
        raise SettingsError(reader.problems)
    assumed = {offer.code: offer.effect for segment in segments for offer in segment.offers if offer.is_message}
    return Segmentation(path.name, hashlib.sha256(raw).hexdigest(), segments, hints, profit_lost, assumed)


def _not_toml(name: str, raw: bytes, error: Exception) -> Problem:
    """Return what is wrong with a file that is no TOML: the line, and how it is written where people go wrong."""
    found = _LINE.search(str(error))
    if found is None:
        return Problem(name, "TOML", str(error))
    number = int(found[1])
    written = "".join(raw.decode("utf-8-sig").splitlines()[number - 1 : number]).strip()
    expected = 'TOML, in which numbers have a point (cost = 0.5) and texts stand in straight quotes (title = "...")'
    return Problem(name, f"{expected}: {str(error).partition(' (at')[0]}", written or None, row=number)


@dataclass
class _Reader:
    """Reads plain values into segments and collects what is wrong with them."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def segments(self, plain: Mapping[str, Any]) -> tuple[Segment, ...]:
        """Return the segments by priority. Whatever is wrong is in `problems`, and then they are of no use."""
        self._keys("", plain, {"hints", "onsite_offer", "profit_lost", "segment"})
        general = self._onsite("onsite_offer", plain.get("onsite_offer"))
        rows = plain.get("segment")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            self._add("segment", "at least one [[segment]]", _shown(rows))
            return ()
        segments = [self._segment(number, row, general) for number, row in enumerate(rows, start=1)]
        self._check_together([segment for segment in segments if segment is not None])
        return tuple(sorted((one for one in segments if one is not None), key=lambda segment: segment.priority))

    def hints(self, value: object) -> dict[str, str]:
        """Return theme -> hint, of the themes that have one."""
        if not isinstance(value, dict):
            self._add("hints", "a table of themes and texts", _shown(value))
            return {}
        self._keys("hints", value, {theme.value for theme in Theme})
        return {theme: self._text(f"hints, {theme}", value[theme], LONGEST_TEXT) for theme in Theme if theme in value}

    def _segment(self, number: int, row: Mapping[str, Any], general: Offer | None) -> Segment | None:
        before = len(self.problems)
        code = row.get("code")
        where = f"segment «{code}»" if isinstance(code, str) else f"segment {number}"
        self._keys(where, row, {"code", "title", "condition", "priority", "offer", "onsite_offer"})
        code = self._code(where, code)
        title = self._text(f"{where}, title", row.get("title"), LONGEST_TITLE)
        condition, expression = self._condition(f"{where}, condition", row.get("condition"))
        priority = row.get("priority")
        if not isinstance(priority, int) or isinstance(priority, bool) or abs(priority) > LOWEST_PRIORITY:
            self._add(f"{where}, priority", "a whole number up to a million; 1 goes before 2", _shown(priority))
        offers, shares = self._offers(where, row.get("offer"))
        onsite = self._onsite(f"{where}, onsite_offer", row["onsite_offer"]) if "onsite_offer" in row else None
        if len(self.problems) > before or general is None:
            return None
        onsite = onsite or next((offer for offer in offers if not offer.is_message), general)
        return Segment(code, title, condition, expression, int(priority or 0), offers, shares, onsite)

    def _offers(self, where: str, value: object) -> tuple[tuple[Offer, ...], tuple[float, ...]]:
        """Return a segment's offers and their shares: of a table, or of several with a share each."""
        if not isinstance(value, list):
            offer = self._offer(f"{where}, offer", value)
            if isinstance(value, dict) and value.get("share", 1) != 1:
                self._add(f"{where}, offer, share", "1: there is no other offer", _shown(value["share"]))
            return ((offer,), (1.0,)) if offer else ((), ())
        if not value:
            self._add(f"{where}, offer", "at least one [[segment.offer]]", "nothing")
        offers, shares = [], []
        before = len(self.problems)
        for number, row in enumerate(value, start=1):
            one = f"{where}, offer {number}"
            offer = self._offer(one, row)
            if offer is not None:
                offers.append(offer)
                shares.append(self.share(f"{one}, share", row.get("share", 1 if len(value) == 1 else None), above=0))
        for code, count in _repeated(offer.code for offer in offers):
            self._add(f"{where}, offer «{code}»", "each offer once", f"{count} times")
        total = math.fsum(shares)
        if len(self.problems) == before and abs(total - 1) > SHARE_ERROR:
            self._add(f"{where}, share", "shares of the offers that add up to 1", f"{total:g}")
        return tuple(offers), tuple(shares)

    def _check_together(self, segments: list[Segment]) -> None:
        """Check what only shows between segments."""
        for segment, count in _repeated(segment.code for segment in segments):
            self._add(f"segment «{segment}», code", "a code of its own for each segment", f"{count} segments with it")
        for title, count in _repeated(segment.title for segment in segments):
            self._add(f"title «{title}»", "a title of its own for each segment", f"{count} segments with it")
        for priority, count in _repeated(segment.priority for segment in segments):
            codes = ", ".join(segment.code for segment in segments if segment.priority == priority)
            self._add(
                f"priority {priority}",
                "a priority of its own for each segment, which decides where a customer of several belongs",
                f"{count} segments with it: {codes}",
            )
        offers: dict[str, Offer] = {}
        for offer in (offer for segment in segments for offer in (*segment.offers, segment.onsite_offer)):
            if offers.setdefault(offer.code, offer) != offer:
                expected = "the same text, channel, cost, effect and discount wherever the code is"
                self._add(f"offer «{offer.code}»", expected, "two offers")
        if not segments:
            return
        *first, last = sorted(segments, key=lambda segment: segment.priority)
        if not is_always_true(last.condition) and not self.problems:
            expected = 'condition = "true": it takes the customers that no other segment covers'
            self._add(f"segment «{last.code}», the last by priority", expected, last.condition)
        for segment in first:
            if is_always_true(segment.condition):
                expected = "it as the last by priority: no customer is left for the segments after it"
                self._add(f"segment «{segment.code}»", expected, f'condition = "true" at priority {segment.priority}')

    def _condition(self, where: str, value: object) -> tuple[str, pl.Expr]:
        if not isinstance(value, str):
            self._add(where, 'a condition in quotes, such as "risk_decile = 1"', _shown(value))
            return "", pl.lit(value=False)
        try:
            return value, parse_condition(value)
        except ConditionError as error:
            self._add(where, error.expected, error.found)
            return value, pl.lit(value=False)

    def _offer(self, where: str, value: object) -> Offer | None:
        if not isinstance(value, dict):
            self._add(where, "a table with code, text, channel, cost, effect and discount", _shown(value))
            return None
        self._keys(where, value, {"code", "text", "channel", "cost", "effect", "discount", "share"})
        code = self._code(where, value.get("code"))
        text = self._text(f"{where}, text", value.get("text"), LONGEST_TEXT)
        channel = value.get("channel")
        if channel not in CHANNELS:
            self._add(f"{where}, channel", f"one of {', '.join(CHANNELS)}", _shown(channel))
            return None
        cost = self._cost(f"{where}, cost", value.get("cost", 0 if channel == ONSITE else None))
        if channel == ONSITE:
            for key in ("cost", "effect", "discount"):
                if value.get(key):
                    self._add(f"{where}, {key}", f"no {key} on the site: nobody is contacted", _shown(value[key]))
            return Offer(code, text)
        effect = self.share(f"{where}, effect", value.get("effect", DEFAULT_EFFECT))
        discount = self.share(f"{where}, discount", value.get("discount", 0))
        return Offer(code, text, str(channel), cost, effect, discount)

    def _onsite(self, where: str, value: object) -> Offer | None:
        if not isinstance(value, dict):
            self._add(where, "a table with code and text, for those who have not allowed messages", _shown(value))
            return None
        self._keys(where, value, {"code", "text"})
        return Offer(
            self._code(where, value.get("code")), self._text(f"{where}, text", value.get("text"), LONGEST_TEXT)
        )

    def share(self, where: str, value: object, *, above: float = -1) -> float:
        """Return a number from 0 to 1. Args: above: it must be larger."""
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 and value > above:
            return float(value)
        least = "above 0, at most 1" if above >= 0 else "from 0 to 1"
        self._add(where, f"a number {least}, such as 0.25", _shown(value))
        return 0.0

    def _cost(self, where: str, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= HIGHEST_COST:
            cost = float(value)
            if round(cost * COST_PARTS) / COST_PARTS == cost:
                return cost
        self._add(where, f"a number from 0 to {HIGHEST_COST:,} with at most 4 decimals", _shown(value))
        return 0.0

    def _code(self, where: str, value: object) -> str:
        if isinstance(value, str) and _CODE.fullmatch(value):
            return value
        self._add(f"{where}, code", "Latin small letters, digits and _, a letter first, at most 63", _shown(value))
        return ""

    def _text(self, where: str, value: object, longest: int) -> str:
        if isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= longest:
            return value
        self._add(where, f"a text on one line of at most {longest} characters", _shown(value))
        return ""

    def _keys(self, where: str, value: Mapping[str, Any], known: set[str]) -> None:
        for key in sorted(value.keys() - known):
            self._add(where, f"one of the keys {', '.join(sorted(known))}", key)

    def _add(self, where: str, expected: str, found: str | None) -> None:
        self.problems.append(Problem(f"{self.file}, {where}" if where else self.file, expected, found))


def _repeated(values: Iterable[str] | Iterable[int]) -> list[tuple[Any, int]]:
    """Return the values that occur more than once, and how often."""
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return [(value, count) for value, count in counts.items() if count > 1]


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
