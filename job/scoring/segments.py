"""Segments and their offers: data in a TOML file that marketing edits, checked as a whole before anything is scored."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard

import polars as pl

from job.scoring.conditions import CONDITION_COLUMNS, ConditionError, is_always_true, parse_condition
from job.scoring.mistakes import Mistake, SegmentsError, line_at, lines_of, mend
from schemas.phrases import CHANNELS, ONSITE, Theme
from schemas.scored import FITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from job.models.artifact import Thresholds

DEFAULT_FILE: Final = Path(__file__).with_name("segments.toml")
COST_PARTS: Final = 10_000  # costs and budgets are counted in whole parts of the shop's unit, so that sums are exact
DEFAULT_EFFECT: Final = 0.1  # where a file says nothing of an offer: assumed, as whatever nobody measured
DEFAULT_PROFIT_LOST: Final = 0.5
SHARE_ERROR: Final = 1e-6  # thirds cannot be written exactly
HIGHEST_COST: Final = 1_000_000
LONGEST_TITLE: Final = 100
LONGEST_TEXT: Final = 500
LARGEST_FILE: Final = 1 << 16  # bytes; the shipped file has 8,500
_LINE: Final = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")
LONGEST_LINE: Final = 1_000  # characters: the time that a key takes grows with the square of its dots
MOST_MENDED: Final = 20  # lines that are no TOML
LOWEST_PRIORITY: Final = 1_000_000  # also below zero

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Offer(NamedTuple):
    """What a customer is offered, on one of `CHANNELS`; on the site nobody is contacted, and it costs nothing."""

    code: str
    text: str
    channel: str = ONSITE
    cost: float = 0.0  # of one contact, in the unit of `monthly_profit`
    effect: float = 0.0  # share of the declines that it prevents, assumed or measured
    discount: float = 0.0  # share of the profit that it gives away

    @property
    def is_message(self) -> bool:
        """Whether it is sent to the customer, which needs consent."""
        return self.channel != ONSITE


@dataclass(frozen=True)
class Segment:
    """A group of customers that gets one offer, or several by lot (`shares`, together 1).

    Those who have not allowed messages see the offer on the site. A customer belongs to the segment with the lowest
    priority of those whose condition, an expression over `CONDITION_COLUMNS`, holds.
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
    """All segments, by priority; the last one takes every customer that is left."""

    file: str
    digest: str  # SHA-256 of the file
    segments: tuple[Segment, ...]
    hints: Mapping[str, str]  # theme of a reason -> what can be done about it; of some themes or of none
    profit_lost: float  # share of the profit that is lost when a customer's activity falls
    assumed: Mapping[str, float]  # offer -> the effect that the file assumes, of those that are messages

    def with_effects(self, effects: Mapping[str, float]) -> Segmentation:
        """Return the same with other effects of some offers. Args: effects: offer -> its effect."""

        def changed(offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
            return tuple(offer._replace(effect=effects.get(offer.code, offer.effect)) for offer in offers)

        return self._replace(segments=tuple(replace(each, offers=changed(each.offers)) for each in self.segments))

    def assign(self, customers: pl.DataFrame, thresholds: Thresholds) -> pl.DataFrame:
        """Return where each customer's segment stands in `segments`, and which conditions hold, in their order.

        Columns: `segment_row` (UInt32; never null), and for each segment `FITS` and its code: whether its condition
        holds (Boolean). Asked: features, `decline_probability`, `risk_decile`, `monthly_profit`, `profit_at_risk`,
        `contact_allowed`.
        """
        fits = {f"{FITS}{segment.code}": segment.expression for segment in self.segments}
        row = pl.coalesce(pl.when(name).then(pl.lit(number, pl.UInt32)) for number, name in enumerate(fits))
        customers = customers.with_columns(
            high_risk=pl.col("decline_probability") >= thresholds.risk,
            high_profit=pl.col("monthly_profit") >= thresholds.profit,
            high_promo=pl.col("promo_share") >= thresholds.promo_share,
        )
        asked = customers.select(pl.col(name).cast(dtype) for name, dtype in CONDITION_COLUMNS.items())
        return asked.select(**fits).select(row.alias("segment_row"), pl.all())

    def all_offers(self) -> dict[str, Offer]:
        """Return code -> offer, those of the site, too, each once."""
        return {offer.code: offer for segment in self.segments for offer in (*segment.offers, segment.onsite_offer)}

    def codes(self) -> dict[str, pl.Enum]:
        """Return the dtypes of the columns `segment` and `offer`, all of whose codes are known."""
        return {"segment": pl.Enum([one.code for one in self.segments]), "offer": pl.Enum([*self.all_offers()])}

    def take(self, column: str, values: pl.Series) -> pl.Expr:
        """Return the value of each `segment` or `offer` (text, or of `codes`) by its place."""
        return pl.lit(values).gather(pl.col(column).cast(self.codes()[column]).to_physical())

    def offers(self) -> pl.DataFrame:
        """Return one row per segment and offer, by priority, then as in the file.

        Columns: `segment`, `offer`, `onsite_offer` (of `codes`), `is_message` (Boolean), `cost_parts` (Int64; of
        `COST_PARTS` to the unit), `effect`, `discount` (Float64).
        """
        codes = self.codes()
        rows = [
            {
                "segment": segment.code,
                "offer": offer.code,
                "is_message": offer.is_message,
                "cost_parts": round(offer.cost * COST_PARTS),
                "effect": offer.effect,
                "discount": offer.discount,
                "onsite_offer": segment.onsite_offer.code,
            }
            for segment in self.segments
            for offer in segment.offers
        ]
        return pl.DataFrame(rows, schema_overrides={**codes, "onsite_offer": codes["offer"]})


def load_segmentation(path: Path | None = None) -> Segmentation:
    """Read and check a segments file, None the shipped one, which says how it is written. Raises SegmentsError."""
    path = path or DEFAULT_FILE
    raw, text = _read(path)
    for number, written in enumerate(text.split("\n"), start=1):
        if len(written) > LONGEST_LINE:
            raise _error("long_line", path.name, f"{len(written):,}", line=number, most=LONGEST_LINE)
    plain, mistakes = _parse(path.name, text)
    reader = _Reader(path.name, lines_of(text), mistakes)
    segments, hints = reader.segments(plain), reader.hints(plain.get("hints", {}))
    profit_lost = reader.share(_Where().key("profit_lost"), plain.get("profit_lost", DEFAULT_PROFIT_LOST))
    if reader.mistakes:
        raise SegmentsError(reader.mistakes)
    assumed = {offer.code: offer.effect for segment in segments for offer in segment.offers if offer.is_message}
    return Segmentation(path.name, hashlib.sha256(raw).hexdigest(), segments, hints, profit_lost, assumed)


def _error(kind: str, file: str, found: str | None, line: int | None = None, **values: object) -> SegmentsError:
    return SegmentsError([Mistake(kind, file, found, line=line, is_in_log=True, values=values)])


def _read(path: Path) -> tuple[bytes, str]:
    """Return a file's bytes, and its text with plain line ends. Raises SegmentsError."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise _error("unreadable", str(path), error.strerror) from error
    if len(raw) > LARGEST_FILE:
        raise _error("large", path.name, "more", most=LARGEST_FILE)
    try:
        return raw, raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _error("encoding", path.name, f"byte 0x{raw[error.start]:02x}", line=line) from error


def _parse(file: str, text: str) -> tuple[dict[str, Any], list[Mistake]]:
    """Return what a file says, and the lines that are no TOML, each read as it was meant. Raises SegmentsError."""
    lines, mistakes = text.split("\n"), list[Mistake]()
    while True:
        try:
            return tomllib.loads("\n".join(lines)), mistakes
        except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
            reason, found = str(error).partition(" (at")[0], _LINE.search(str(error))
            number = int(found[1]) if found else None
            written = lines[number - 1] if number and number <= len(lines) else ""
            meant = mend(written, reason)
            kind, right = meant or ("not_toml", "")
            values = {"right": right.partition("#")[0].strip(), "reason": reason if found else str(error)}
            shown = written.strip() or None
            mistakes.append(Mistake(kind, file, shown, line=number, is_in_log=True, values=values))
            if meant is None or len(mistakes) > MOST_MENDED:
                raise SegmentsError(mistakes) from error
            lines[(number or 1) - 1] = right


class _Where(NamedTuple):
    """A place in a file: in words, and as a path of `lines_of`."""

    words: str = ""
    path: tuple[str | int, ...] = ()

    def key(self, name: str) -> _Where:
        return self.inside(name, name)

    def inside(self, words: str, *path: str | int) -> _Where:
        return _Where(f"{self.words}, {words}" if self.words else words, (*self.path, *path))


@dataclass
class _Reader:
    """Reads plain values into segments and collects what is wrong with them."""

    file: str
    lines: Mapping[tuple[str | int, ...], int]
    mistakes: list[Mistake]

    def segments(self, plain: Mapping[str, Any]) -> tuple[Segment, ...]:
        """Return the segments by priority. Whatever is wrong is in `mistakes`, and then they are of no use."""
        self._keys(_Where(), plain, {"hints", "onsite_offer", "profit_lost", "segment"})
        general = self._onsite(_Where().key("onsite_offer"), plain.get("onsite_offer"))
        rows = plain.get("segment")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            self._add(_Where().key("segment"), "no_segment", _shown(rows))
            return ()
        read = (self._segment(number, row, general) for number, row in enumerate(rows, start=1))
        segments = [segment for segment in read if segment is not None]
        self._check_together(rows, segments)
        return tuple(sorted(segments, key=lambda segment: segment.priority))

    def hints(self, value: object) -> dict[str, str]:
        """Return theme -> hint, of the themes that have one."""
        where = _Where().key("hints")
        if not isinstance(value, dict):
            self._add(where, "hints", _shown(value))
            return {}
        self._keys(where, value, {theme.value for theme in Theme})
        return {theme: self._text(where.key(theme), value[theme]) for theme in Theme if theme in value}

    def _segment(self, number: int, row: Mapping[str, Any], general: Offer | None) -> Segment | None:
        before = len(self.mistakes)
        code = row.get("code")
        name = f"segment «{code}»" if isinstance(code, str) else f"segment {number}"
        where = _Where().inside(name, "segment", number)
        self._keys(where, row, {"code", "title", "condition", "priority", "offer", "onsite_offer"})
        code = self._code(where, code)
        title = self._text(where.key("title"), row.get("title"), LONGEST_TITLE)
        condition, expression = self._condition(where.key("condition"), row.get("condition"))
        priority = row.get("priority")
        if not _is_priority(priority):
            self._add(where.key("priority"), "priority", _shown(priority))
        offers, shares = self._offers(where, row.get("offer"))
        onsite = self._onsite(where.key("onsite_offer"), row["onsite_offer"]) if "onsite_offer" in row else None
        if len(self.mistakes) > before or general is None:
            return None
        onsite = onsite or next((offer for offer in offers if not offer.is_message), general)
        return Segment(code, title, condition, expression, int(priority or 0), offers, shares, onsite)

    def _offers(self, where: _Where, value: object) -> tuple[tuple[Offer, ...], tuple[float, ...]]:
        """Return a segment's offers and their shares: of a table, or of several with a share each."""
        if not isinstance(value, list):
            one = where.inside("offer", "offer", 1)
            offer = self._offer(one, value)
            if isinstance(value, dict) and value.get("share", 1) != 1:
                self._add(one.key("share"), "one_share", _shown(value["share"]))
            return ((offer,), (1.0,)) if offer else ((), ())
        if not value:
            self._add(where.key("offer"), "no_offer", "nothing")
        offers, shares = [], []
        before = len(self.mistakes)
        for number, row in enumerate(value, start=1):
            one = where.inside(f"offer {number}", "offer", number)
            offer = self._offer(one, row)
            if offer is not None:
                offers.append(offer)
                shares.append(self.share(one.key("share"), row.get("share", 1 if len(value) == 1 else None), above=0))
        for code, places in _repeated(offer.code for offer in offers):
            self._add(where.inside(f"offer «{code}»"), "offer_once", f"{len(places)} times")
        total = math.fsum(shares)
        if len(self.mistakes) == before and abs(total - 1) > SHARE_ERROR:
            self._add(where.key("share"), "shares", f"{total:g}")
        return tuple(offers), tuple(shares)

    def _check_together(self, rows: Sequence[Mapping[str, Any]], segments: Sequence[Segment]) -> None:
        """Check what only shows between segments. Args: rows: as written, those with mistakes, too."""
        numbers = {number: row["priority"] for number, row in enumerate(rows, 1) if _is_priority(row.get("priority"))}
        free = max(numbers.values(), default=0) + 1
        priorities = [numbers.get(number) for number in range(1, len(rows) + 1)]
        for key, kind, words, values in (
            ("code", "own_code", "segment «{}», code", [row.get("code") for row in rows]),
            ("title", "own_title", "title «{}»", [row.get("title") for row in rows]),
            ("priority", "own_priority", "priority {}", priorities),
        ):
            for value, places in _repeated(values):
                codes = ", ".join(str(rows[number - 1].get("code", number)) for number in places)
                found = f"{len(places)} segments with it{f': {codes}' if key == 'priority' else ''}"
                self._add(_Where(words.format(value), ("segment", places[1], key)), kind, found, free=free)
        offers: dict[str, Offer] = {}
        for offer in (offer for segment in segments for offer in (*segment.offers, segment.onsite_offer)):
            if offers.setdefault(offer.code, offer) != offer:
                self._add(_Where(f"offer «{offer.code}»"), "same_offer", "two offers")
        if len(numbers) < len(rows):
            return
        last = max(numbers, key=lambda number: (numbers[number], number))
        for number, priority in numbers.items():
            condition, code = rows[number - 1].get("condition"), rows[number - 1].get("code", number)
            path = ("segment", number, "condition")
            is_all = isinstance(condition, str) and is_always_true(condition)
            if number == last and not is_all and isinstance(condition, str):
                self._add(_Where(f"segment «{code}», the last by priority", path), "last", condition)
            if is_all and priority < numbers[last]:
                found = f'condition = "true" at priority {priority}'
                self._add(_Where(f"segment «{code}»", path), "not_last", found, free=free)

    def _condition(self, where: _Where, value: object) -> tuple[str, pl.Expr]:
        if not isinstance(value, str):
            self._add(where, "condition", _shown(value))
            return "", pl.lit(value=False)
        try:
            return value, parse_condition(value)
        except ConditionError as error:
            self._add(where, error.kind, error.found, **error.values)
            return value, pl.lit(value=False)

    def _offer(self, where: _Where, value: object) -> Offer | None:
        if not isinstance(value, dict):
            self._add(where, "offer", _shown(value))
            return None
        self._keys(where, value, {"code", "text", "channel", "cost", "effect", "discount", "share"})
        code = self._code(where, value.get("code"))
        text = self._text(where.key("text"), value.get("text"))
        channel = value.get("channel")
        if channel not in CHANNELS:
            self._add(where.key("channel"), "channel", _shown(channel), known=", ".join(CHANNELS))
            return None
        cost = self._cost(where.key("cost"), value.get("cost", 0 if channel == ONSITE else None))
        if channel == ONSITE:
            for key in ("cost", "effect", "discount"):
                if value.get(key):
                    self._add(where.key(key), "onsite", _shown(value[key]), key=key)
            return Offer(code, text)
        effect = self.share(where.key("effect"), value.get("effect", DEFAULT_EFFECT))
        discount = self.share(where.key("discount"), value.get("discount", 0))
        return Offer(code, text, str(channel), cost, effect, discount)

    def _onsite(self, where: _Where, value: object) -> Offer | None:
        if not isinstance(value, dict):
            self._add(where, "onsite_offer", _shown(value))
            return None
        self._keys(where, value, {"code", "text"})
        return Offer(self._code(where, value.get("code")), self._text(where.key("text"), value.get("text")))

    def share(self, where: _Where, value: object, *, above: float = -1) -> float:
        """Return a number from 0 to 1. Args: above: it must be larger."""
        if _is_number(value, 1) and value > above:
            return float(value)
        kind, least = ("positive_share", "above 0, at most 1") if above >= 0 else ("share", "from 0 to 1")
        self._add(where, kind, _shown(value), least=least, key=where.path[-1])
        return 0.0

    def _cost(self, where: _Where, value: object) -> float:
        if _is_number(value, HIGHEST_COST) and round(float(value) * COST_PARTS) / COST_PARTS == float(value):
            return float(value)
        self._add(where, "cost", _shown(value), most=HIGHEST_COST)
        return 0.0

    def _code(self, where: _Where, value: object) -> str:
        if isinstance(value, str) and _CODE.fullmatch(value):
            return value
        self._add(where.key("code"), "code", _shown(value))
        return ""

    def _text(self, where: _Where, value: object, longest: int = LONGEST_TEXT) -> str:
        if isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= longest:
            return value
        self._add(where, "text", _shown(value), most=longest, key=where.path[-1])
        return ""

    def _keys(self, where: _Where, value: Mapping[str, Any], known: set[str]) -> None:
        for key in sorted(value.keys() - known):
            self._add(_Where(where.words, (*where.path, key)), "keys", key, known=", ".join(sorted(known)))

    def _add(self, where: _Where, kind: str, found: str | None, **values: object) -> None:
        line = line_at(self.lines, where.path)
        self.mistakes.append(Mistake(kind, self.file, found, where.words, line, values=values))


def _is_number(value: object, highest: int) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= highest


def _is_priority(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LOWEST_PRIORITY


def _repeated(values: Iterable[object]) -> list[tuple[object, list[int]]]:
    """Return the texts and whole numbers that occur more than once, each with the places (from 1) where it stands."""
    places: dict[object, list[int]] = {}
    for place, value in enumerate(values, start=1):
        if isinstance(value, str | int):
            places.setdefault(value, []).append(place)
    return [(value, standing) for value, standing in places.items() if len(standing) > 1]


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
