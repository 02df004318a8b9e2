"""What marketing works through: `campaign.csv`, and `campaign.xlsx` for people."""

from __future__ import annotations

import contextlib
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job import russian
from job.features import EXCLUSIONS
from job.models.reasons import REASONS, theme_of
from job.scoring.published import SCORED
from job.scoring.spreadsheet import DECIMALS, RUSSIAN, cells, cells_of_words
from schemas.columns import RULES
from schemas.phrases import (
    CHANNELS,
    CONTACT_HEADINGS,
    CONTROL_HEADINGS,
    CONTROL_SHEET,
    DO_NOT_CONTACT,
    EXCLUDED_HEADINGS,
    EXCLUDED_SHEET,
    MOST_ROWS,
    ONSITE_HEADINGS,
    ONSITE_SHEET,
    REJECTED_HEADINGS,
    REJECTED_SHEET,
    REJECTIONS,
    SUMMARY_HEADINGS,
    SUMMARY_SHEET,
    TOO_MANY,
    TOTAL,
)
from schemas.scored import CONTROL, MONEY_DECIMALS, NOT_IN_CAMPAIGN, TREATMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from xlsxwriter import Workbook

    from job.scoring.segments import Segmentation

WORKBOOK: Final = "campaign.xlsx"
SHEET_TITLE: Final = 31  # Excel's limit
EXACT_DIGITS: Final = 10**15  # Excel keeps 15 digits of a number: longer ids are written as text

_FORBIDDEN_IN_TITLE: Final = str.maketrans(dict.fromkeys("[]:*?/\\'", " "))
_SHEET_HEADINGS: Final = {name: heading for name, heading in CONTACT_HEADINGS.items() if name != "segment_title"}
_WIDTHS: Final = {
    name: width
    for width, names in {
        7: "rank",
        10: "row",
        11: "monthly_profit cost cost_per_contact customers mean_risk",
        12: "id decline_probability channel treatment contacts_current_month",
        15: "control",
        20: "offer file",
        30: "column",
        32: "segment_title title reason_1 reason_2 reason_3 hint",
        34: "offer_text",
        40: "value",
        60: "note reason",
    }.items()
    for name in names.split()
}
_WIDTH: Final = 13
_ID_MARGIN: Final = 2
_LINE: Final = 15.0  # points, of a row with one line
_CHARACTER: Final = 1.25  # of a width: words do not fill lines, and capitals and other fonts are wider
_NUMBERS: Final = {
    name: code
    for code, names in {
        "0": "id rank row contacts_current_month",
        "0.0 %": "decline_probability mean_risk",
        "#,##0": "customers treatment control",
        "#,##0.00": "monthly_profit profit_at_risk",
        "#,##0.00##": "expected_value cost cost_per_contact",
    }.items()
    for name in names.split()
}
"""Column -> how its numbers are shown; Excel writes them as the reader's country does."""
_SUMS: Final = ("customers", "profit_at_risk", "treatment", "control", "cost", "expected_value")
_A4: Final = 9  # Excel's number of the paper
_CREATED: Final = datetime(2000, 1, 1, tzinfo=UTC)  # fixed: the same contacts give the same bytes


def rank_contacts(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the parts of a list with each row's number in the whole list, from 1, as `rank` (UInt32)."""
    before = 0
    for part in parts:
        yield part.with_row_index("rank", offset=before + 1)
        before += part.height


def list_contacts(contacts: pl.DataFrame, segmentation: Segmentation) -> pl.DataFrame:
    """Return what marketing should know of ranked contacts (`segment` and `CONTACT_HEADINGS`), in their order."""
    return contacts.with_columns(
        _titles(segmentation),
        *(segmentation.take("offer", values) for values in _offers(segmentation).drop("offer")),
        hints_of(contacts["reason_1"], segmentation.hints),
    ).select("segment", *CONTACT_HEADINGS)


def _titles(segmentation: Segmentation) -> pl.Expr:
    return segmentation.take("segment", pl.Series("segment_title", [one.title for one in segmentation.segments]))


def _offers(segmentation: Segmentation) -> pl.DataFrame:
    """Return what is listed of each offer, in the order of `Segmentation.codes`."""
    offers = segmentation.all_offers().values()
    rows = [(offer.text, offer.code, CHANNELS[offer.channel], offer.cost) for offer in offers]
    return pl.DataFrame(rows, schema=["offer_text", "offer", "channel", "cost"], orient="row")


def hints_of(reasons: pl.Series, hints: Mapping[str, str]) -> pl.Series:
    """Return what can be done about each reason: `hint` (Enum), null without a reason or a hint for its theme."""
    known = {reason: hints.get(theme_of(reason)) for reason in reasons.drop_nulls().unique()}
    hint = pl.Enum(list(dict.fromkeys(hints.values())))
    return reasons.replace_strict(known, default=None, return_dtype=hint).alias("hint")


def choose_contacts(planned: pl.DataFrame, contacts_current_month: pl.Series) -> pl.DataFrame:
    """Return what is listed of planned customers in treatment, with the `order` in which they are contacted.

    The largest expected value comes first; of equal ones the lowest `id`, which is their order here.
    """
    listed = ("id", "decline_probability", "monthly_profit", "profit_at_risk", "expected_value", "segment", "offer")
    rows = planned.select(*listed, *REASONS, contacts_current_month).filter(planned["campaign_group"] == TREATMENT)
    return rows.select(
        (-pl.col("expected_value")).alias("order"), pl.exclude(REASONS), pl.col(REASONS).cast(pl.Categorical)
    )


def contacts_table(contacts: pl.DataFrame, segmentation: Segmentation) -> pl.DataFrame:
    """Return what `campaign.csv` shows of ranked contacts, in the style `RUSSIAN`, with its headings.

    What is told of an offer is one text, with its separators. Amounts are decimals, which are written in a third of the
    time of floats with so many decimals; the risk is in percent.
    """
    offers = _offers(segmentation)
    costs = pl.Series("cost", [russian.number(cost, decimals=4) for cost in offers["cost"]])
    offer = pl.concat_str([cells(texts) for texts in offers.with_columns(costs)], separator=RUSSIAN["separator"])
    hints = dict(
        zip(segmentation.hints, cells(pl.Series([*segmentation.hints.values()], dtype=pl.String)), strict=True)
    )
    amount = pl.Decimal(scale=DECIMALS)
    headings = CONTACT_HEADINGS | {
        "decline_probability": f"{CONTACT_HEADINGS['decline_probability']}, %",
        "offer": RUSSIAN["separator"].join(CONTACT_HEADINGS[name] for name in offers.columns),
    }
    shown = contacts.with_columns(
        _titles(segmentation),
        (pl.col("decline_probability") * 100).round(1).cast(amount),
        pl.col("monthly_profit", "profit_at_risk", "expected_value").round(DECIMALS).cast(amount),
        segmentation.take("offer", pl.select(offer.alias("offer")).to_series()),
        *cells_of_words(contacts.select(REASONS)),
        hints_of(contacts["reason_1"], hints),
    )
    return shown.select(pl.col(name).alias(heading) for name, heading in headings.items() if name in shown.columns)


def list_others(folder: Path, segmentation: Segmentation) -> Iterator[tuple[str, Mapping[str, str], pl.DataFrame, str]]:
    """Yield title, headings and rows of who is not contacted, and the file that has them if they are too many here."""
    offers = {
        offer.code: offer.text
        for segment in segmentation.segments
        for offer in (*segment.offers, segment.onsite_offer)
        if not offer.is_message
    }
    some = MOST_ROWS + 1  # one more says that there are too many
    group, offer = pl.col("campaign_group"), pl.col("offer").cast(pl.String)
    scored = pl.scan_parquet(folder / SCORED).with_columns(_titles(segmentation), pl.lit(DO_NOT_CONTACT).alias("note"))
    control = scored.filter(group == CONTROL)
    onsite = scored.filter((group == NOT_IN_CAMPAIGN) & offer.is_in(list(offers)))
    onsite = onsite.with_columns(offer.replace_strict(offers).alias("offer_text"))
    excluded = pl.read_csv(folder / "excluded.csv", schema_overrides={"id": pl.Int64, "reason": pl.String}, n_rows=some)
    rejected = pl.read_csv(folder / "rejected.csv", infer_schema=False, n_rows=some).cast({"row": pl.Int64})
    reasons = {rule: explain_rejection(rule) for rule in rejected["rule"].unique()}
    exclusion = pl.col("reason").replace(EXCLUSIONS)
    reason = pl.col("rule").replace_strict(reasons, return_dtype=pl.String).alias("reason")
    tables = (
        (CONTROL_SHEET, CONTROL_HEADINGS, control, "scored.csv"),
        (ONSITE_SHEET, ONSITE_HEADINGS, onsite, "scored.csv"),
        (EXCLUDED_SHEET, EXCLUDED_HEADINGS, excluded.lazy().with_columns(exclusion), "excluded.csv"),
        (REJECTED_SHEET, REJECTED_HEADINGS, rejected.lazy().with_columns(reason), "rejected.csv"),
    )
    for title, headings, rows, file in tables:
        yield title, headings, rows.select(*headings).head(some).collect(engine="in-memory"), file


def explain_rejection(rule: str) -> str:
    """Return what people read of a value or a row that breaks a rule, in Russian; the rule itself if none is known."""
    known = {one.fact: one.broken for one in RULES}
    if rule in known:
        return known[rule]
    for pattern, broken in REJECTIONS.items():
        if match := re.fullmatch(pattern, rule):
            return match.expand(broken)
    return rule


def write_workbook(
    folder: Path, contacts: pl.DataFrame, segments: Sequence[Mapping[str, Any]], segmentation: Segmentation
) -> None:
    """Write `campaign.xlsx`: a summary, one sheet per segment that has contacts, then those who are not contacted.

    Text is written as text and never runs. The same contacts, in the order of the campaign and at most `MOST_ROWS`,
    give the same bytes. Sheets without a row are left out.
    """
    import xlsxwriter  # noqa: PLC0415 - only this format needs it

    [ranked] = rank_contacts([contacts])
    listed = list_contacts(ranked, segmentation)
    # Its sheets wait in the run's own folder: the system's folder for such may be read-only, or full.
    options = {"constant_memory": True, "tmpdir": str(folder)}
    with _as_os_error(), xlsxwriter.Workbook(str(folder / WORKBOOK), options) as workbook:
        workbook.set_properties({"created": _CREATED})
        book = _Book(workbook)
        summary = pl.DataFrame([row for segment in segments for row in _summary_rows(segment)])
        summary = summary.with_columns(pl.col("channel").replace_strict(CHANNELS))
        total = {"title": TOTAL, **{name: round(summary[name].sum(), MONEY_DECIMALS) for name in _SUMS}}
        book.add(SUMMARY_SHEET, SUMMARY_HEADINGS, summary, total)
        for segment in segments:
            members = listed.filter(pl.col("segment") == segment["segment"])
            if members.height:
                book.add(segment["title"], _SHEET_HEADINGS, members)
        for title, headings, rows, file in list_others(folder, segmentation):
            if rows.height > MOST_ROWS:
                book.note(title, TOO_MANY.format(rows=russian.number(MOST_ROWS), file=file))
            elif rows.height:
                book.add(title, headings, rows)


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Let the library's word for what the system refuses be the system's. Raises OSError in place of it."""
    from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415 - only this format needs it

    try:
        yield
    except FileCreateError as error:
        cause = error.__cause__ or error.__context__ or error.args[0]
        raise (cause if isinstance(cause, OSError) else OSError(str(error))) from error


def _summary_rows(segment: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row of the summary for each offer of a segment; what is of the whole segment stands in the first."""
    for number, offer in enumerate(segment["offers"]):
        whole = {name: None if number else segment[name] for name in ("customers", "mean_risk", "profit_at_risk")}
        row = {**offer, "title": segment["title"], **whole}
        yield {name: row[name] for name in SUMMARY_HEADINGS}


class _Book:
    """A workbook whose sheets look alike."""

    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._titles: set[str] = set()
        wrapped = {"text_wrap": True, "valign": "top"}
        total = {"bold": True, "top": 1}
        codes = sorted(set(_NUMBERS.values()))
        self._heading = workbook.add_format({**wrapped, "indent": 1, "bold": True, "bg_color": "#E3E7EB", "bottom": 1})
        self._text = workbook.add_format({**wrapped, "indent": 1})
        self._numbers = {code: workbook.add_format({"valign": "top", "num_format": code}) for code in codes}
        self._total = workbook.add_format(total)
        self._totals = {code: workbook.add_format({**total, "num_format": code}) for code in codes}

    def add(
        self, title: str, headings: Mapping[str, str], rows: pl.DataFrame, total: Mapping[str, Any] | None = None
    ) -> None:
        """Add a sheet: headings that stay in sight and on every printed page, a filter, one page in width."""
        sheet = self._workbook.add_worksheet(_sheet_title(title, self._titles))
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.set_paper(_A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.set_footer("&L&A&R&P / &N")
        widths = [_width(name, rows) for name in headings]
        sheet.set_row(0, _height(headings.values(), widths))
        for column, heading in enumerate(headings.values()):
            sheet.set_column(column, column, widths[column])
            sheet.write_string(0, column, heading, self._heading)
        numbers = [self._numbers.get(_NUMBERS.get(name, ""), self._text) for name in headings]
        for line, row in enumerate(rows.select(*headings).iter_rows(), start=1):
            sheet.set_row(line, _height(row, widths))
            for column, value in enumerate(row):
                if isinstance(value, str) or (isinstance(value, int) and value >= EXACT_DIGITS):
                    sheet.write_string(line, column, str(value), self._text)
                elif value is not None:
                    sheet.write_number(line, column, value, numbers[column])
        sheet.autofilter(0, 0, rows.height, len(headings) - 1)
        for column, name in enumerate(headings if total else ()):
            shown = self._totals.get(_NUMBERS.get(name, ""), self._total)
            sheet.write(rows.height + 1, column, (total or {}).get(name), shown)

    def note(self, title: str, text: str) -> None:
        """Add a sheet that says why it has no rows."""
        self._workbook.add_worksheet(_sheet_title(title, self._titles)).write_string(0, 0, text)


def _height(row: Iterable[object], widths: Iterable[int]) -> float:
    """Return the height of a row in points, for its texts as they are wrapped: only Excel finds it by itself."""
    texts = ((value, width) for value, width in zip(row, widths, strict=True) if isinstance(value, str))
    return _LINE * max(1, *(math.ceil(len(text) * _CHARACTER / width) for text, width in texts), 1)


def _width(name: str, rows: pl.DataFrame) -> int:
    """Return the width of a column in characters: all digits of an id are shown."""
    width = _WIDTHS.get(name, _WIDTH)
    if name != "id":
        return width
    longest = rows.select(pl.col("id").cast(pl.String).str.len_chars().max()).item()
    return max(width, (longest or 0) + _ID_MARGIN)


def _sheet_title(title: str, used: set[str]) -> str:
    """Return a title that Excel takes and that no other sheet has, whatever the case."""
    clean = " ".join(title.translate(_FORBIDDEN_IN_TITLE).split()) or SUMMARY_SHEET
    name, number = clean[:SHEET_TITLE].strip(), 1
    while name.casefold() in used:
        number += 1
        name = f"{clean[: SHEET_TITLE - len(str(number)) - 1].strip()} {number}"
    used.add(name.casefold())
    return name
