"""The list that marketing works through: `campaign.csv` and, on request, `campaign.xlsx`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from job.features import EXCLUSIONS
from job.models.reasons import theme_of
from job.scoring.spreadsheet import DECIMALS, russian_table
from schemas.phrases import (
    CAMPAIGN_HEADINGS,
    CHANNELS,
    CONTROL_HEADINGS,
    CONTROL_SHEET,
    DO_NOT_CONTACT,
    EXCLUDED_HEADINGS,
    EXCLUDED_SHEET,
    ONSITE_HEADINGS,
    ONSITE_SHEET,
    SUMMARY_HEADINGS,
    SUMMARY_SHEET,
)
from schemas.scored import CONTROL, NOT_IN_CAMPAIGN, TREATMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from xlsxwriter import Workbook
    from xlsxwriter.format import Format

    from job.scoring.segments import Segmentation

SHEET_ROWS: Final = 1_000_000  # Excel's sheet has 1,048,576; longer segments go on in the next sheet
SHEET_TITLE: Final = 31  # Excel's limit
EXACT_DIGITS: Final = 10**15  # Excel keeps 15 digits of a number: longer ids are written as text

_FORBIDDEN_IN_TITLE: Final = str.maketrans(dict.fromkeys("[]:*?/\\'", " "))
_WIDTHS: Final = {
    "id": 12,
    "segment_title": 30,
    "title": 30,
    "offer_text": 60,
    "reason_1": 50,
    "reason_2": 50,
    "reason_3": 50,
    "hint": 50,
    "note": 60,
    "reason": 60,
}
_WIDTH: Final = 18
_NUMBERS: Final = {
    "decline_percent": "0.0",
    "mean_risk": "0.0",
    "profit_at_risk": "#,##0.00",
    "cost": "#,##0.00",
    "customers": "#,##0",
    "treatment": "#,##0",
    "control": "#,##0",
}
"""Column -> how its numbers are shown; Excel writes them as the reader's country does."""
_A4: Final = 9  # Excel's number of the paper
_CREATED: Final = datetime(2000, 1, 1, tzinfo=UTC)  # fixed: the same contacts give the same bytes


def list_contacts(contacts: pl.DataFrame, segmentation: Segmentation) -> pl.DataFrame:
    """Return what marketing should know of whom it contacts (`segment` and `CAMPAIGN_HEADINGS`), in their order.

    Args:
        contacts: the output frame of customers in treatment, the largest profit at risk first.
        segmentation: where titles and offers stand.
    """
    told = segmentation.offers().select(
        "segment", "offer_text", pl.col("title").alias("segment_title"), pl.col("channel").replace_strict(CHANNELS)
    )
    return (
        contacts.join(told, on="segment", how="left", maintain_order="left")
        .with_columns(
            (pl.col("decline_probability") * 100).round(1).alias("decline_percent"),
            pl.col("profit_at_risk").round(DECIMALS),
            hints_of(contacts["reason_1"], segmentation.hints),
        )
        .select("segment", *CAMPAIGN_HEADINGS)
    )


def hints_of(reasons: pl.Series, hints: Mapping[str, str]) -> pl.Series:
    """Return what can be done about each reason: `hint` (String), null without a reason or a hint for its theme."""
    known = {reason: hints.get(theme_of(reason)) for reason in reasons.drop_nulls().unique()}
    return reasons.replace_strict(known, default=None, return_dtype=pl.String).alias("hint")


def choose_contacts(scored: pl.DataFrame) -> pl.DataFrame:
    """Return the output frame's customers in treatment, with the `order` in which they are contacted.

    The largest profit at risk comes first; of equal ones the lowest `id`, which is their order here.
    """
    treated = scored.filter(pl.col("campaign_group") == TREATMENT)
    return treated.select((-pl.col("profit_at_risk")).alias("order"), pl.all())


def contacts_table(contacts: pl.DataFrame) -> pl.DataFrame:
    """Return what `campaign.csv` shows of contacts (of `list_contacts`), with its headings."""
    return russian_table(contacts, CAMPAIGN_HEADINGS)


class Sheet(NamedTuple):
    """A sheet of customers who are not contacted. Args: title; headings: column -> its heading; rows."""

    title: str
    headings: Mapping[str, str]
    rows: pl.DataFrame


def list_others(folder: Path, segmentation: Segmentation) -> list[Sheet]:
    """Return the sheets of those who are not contacted: control group, offers on the site, and who was not scored.

    Args:
        folder: of the run, with `scored.parquet` and `excluded.csv`.
        segmentation: where titles and offers stand.
    """
    titles = {segment.code: segment.title for segment in segmentation.segments}
    offers = {
        offer.code: offer.text
        for segment in segmentation.segments
        for offer in (segment.offer, segment.onsite_offer)
        if not offer.is_message
    }
    scored = pl.scan_parquet(folder / "scored.parquet")
    title = pl.col("segment").cast(pl.String).replace_strict(titles).alias("segment_title")
    control = scored.filter(pl.col("campaign_group") == CONTROL).select(
        "id",
        title,
        (pl.col("decline_probability") * 100).round(1).alias("decline_percent"),
        pl.lit(DO_NOT_CONTACT).alias("note"),
    )
    offer = pl.col("offer").cast(pl.String)
    onsite = scored.filter((pl.col("campaign_group") == NOT_IN_CAMPAIGN) & offer.is_in(list(offers))).select(
        "id", title, offer.replace_strict(offers).alias("offer_text")
    )
    excluded = pl.read_csv(folder / "excluded.csv", schema_overrides={"id": pl.Int64, "reason": pl.String})
    return [
        Sheet(CONTROL_SHEET, CONTROL_HEADINGS, control.collect(engine="in-memory").sort("id")),
        Sheet(ONSITE_SHEET, ONSITE_HEADINGS, onsite.collect(engine="in-memory").sort("id")),
        Sheet(EXCLUDED_SHEET, EXCLUDED_HEADINGS, excluded.with_columns(pl.col("reason").replace(EXCLUSIONS))),
    ]


def write_workbook(
    contacts: pl.DataFrame, segments: Sequence[Mapping[str, Any]], path: Path, others: Sequence[Sheet] = ()
) -> None:
    """Write `campaign.xlsx`: a summary, one sheet per segment that has contacts, then those who are not contacted.

    Text is written as text and never runs. The same contacts give the same bytes.

    Args:
        contacts: of `list_contacts`.
        segments: the segments as the manifest has them, in the order of the sheets.
        path: of the file.
        others: of `list_others`; those without a row are left out.
    """
    import xlsxwriter  # noqa: PLC0415 - only this format needs it

    titles: set[str] = set()
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as workbook:
        workbook.set_properties({"created": _CREATED})
        formats = _Formats.of(workbook)
        summary = [_channel_named(row) for row in segments]
        _write_sheet(workbook, _sheet_title(SUMMARY_SHEET, titles), SUMMARY_HEADINGS, summary, formats)
        for segment in segments:
            own = contacts.filter(pl.col("segment") == segment["segment"])
            for start in range(0, own.height, SHEET_ROWS):
                rows = own.slice(start, SHEET_ROWS).iter_rows(named=True)
                _write_sheet(workbook, _sheet_title(str(segment["title"]), titles), CAMPAIGN_HEADINGS, rows, formats)
        for sheet in others:
            for start in range(0, sheet.rows.height, SHEET_ROWS):
                rows = sheet.rows.slice(start, SHEET_ROWS).iter_rows(named=True)
                _write_sheet(workbook, _sheet_title(sheet.title, titles), sheet.headings, rows, formats)


class _Formats(NamedTuple):
    """How cells look. Args: heading: of the first row; text: wrapped; numbers: column -> of its numbers."""

    heading: Format
    text: Format
    numbers: dict[str, Format]

    @classmethod
    def of(cls, workbook: Workbook) -> _Formats:
        """Return the formats of a workbook."""
        wrapped = {"text_wrap": True, "valign": "top"}
        numbers = {
            shown: workbook.add_format({"valign": "top", "num_format": shown})
            for shown in sorted(set(_NUMBERS.values()))
        }
        return cls(
            workbook.add_format({**wrapped, "bold": True}),
            workbook.add_format(wrapped),
            {name: numbers[code] for name, code in _NUMBERS.items()},
        )


def _channel_named(segment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a segment's summary as it is shown: the channel in Russian, the risk in percent, sums rounded."""
    risk = segment["mean_risk"]
    return {
        **segment,
        "channel": CHANNELS[segment["channel"]],
        "mean_risk": None if risk is None else round(risk * 100, 1),
        "profit_at_risk": round(segment["profit_at_risk"], DECIMALS),
    }


def _write_sheet(
    workbook: Workbook,
    title: str,
    headings: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]] | Iterator[Mapping[str, Any]],
    formats: _Formats,
) -> None:
    """Write a sheet: headings that stay in sight and on every printed page, a filter, one page in width."""
    sheet = workbook.add_worksheet(title)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    line = 0
    for place, (name, heading) in enumerate(headings.items()):
        sheet.set_column(place, place, _WIDTHS.get(name, _WIDTH))
        sheet.write_string(0, place, heading, formats.heading)
    for line, row in enumerate(rows, start=1):
        for place, name in enumerate(headings):
            value = row[name]
            if isinstance(value, str) or (isinstance(value, int) and value >= EXACT_DIGITS):
                sheet.write_string(line, place, str(value), formats.text)
            elif value is not None:
                sheet.write_number(line, place, value, formats.numbers.get(name, formats.text))
    sheet.autofilter(0, 0, line, len(headings) - 1)


def _sheet_title(title: str, used: set[str]) -> str:
    """Return a title that Excel takes and that no other sheet has, whatever the case."""
    clean = " ".join(title.translate(_FORBIDDEN_IN_TITLE).split()) or SUMMARY_SHEET
    name, number = clean[:SHEET_TITLE].strip(), 1
    while name.casefold() in used:
        number += 1
        name = f"{clean[: SHEET_TITLE - len(str(number)) - 1].strip()} {number}"
    used.add(name.casefold())
    return name
