"""What offers were worth: measured by an output's lifts, pooled over campaigns, shrunken towards the assumption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypedDict, cast

from job.beneath import is_plain_folder, read_beneath
from job.errors import reason_of, shorten
from job.rounding import rounded
from job.scoring.published import RUN_NAME
from job.statistics import Effect, PooledEffect, pool_effects
from schemas.typed import check, parse_object

LIFTS: Final = "lift"
LIFT: Final = "lift.json"
LARGEST_EFFECT: Final = 10.0  # of either sign: ten times the declines are no measurement


class LiftOffer(TypedDict):
    """What a lift says of an offer; see `job.campaign.offers`. `effect` is a share of the declines, None if unknown."""

    offer: str
    treated: int
    control: int
    effect: float | None
    low: float | None
    high: float | None
    standard_error: float | None


class LiftFile(TypedDict):
    """What is read of `lift.json`."""

    run_id: str
    offers: list[LiftOffer]


class Lift(NamedTuple):
    """A measured campaign: of which run, what it says of each offer, and all of `lift.json`."""

    run_id: str
    offers: tuple[LiftOffer, ...]
    content: Mapping[str, Any]


class OfferEffect(NamedTuple):
    """An offer over the campaigns that measured it: its effect, the assumed one, their number, their customers."""

    pooled: PooledEffect
    assumed: float
    campaigns: int
    treated: int
    control: int


def read_lifts(output: Path) -> tuple[list[Lift], list[str]]:
    """Return the lifts of an output, by run, and a line for each that cannot be used."""
    folder = output / LIFTS
    lifts, warnings = [], []
    names = sorted(path.name for path in folder.iterdir()) if is_plain_folder(folder) else []
    for name in names:
        if RUN_NAME.fullmatch(name):
            try:
                lifts.append(_parse(name, read_beneath(folder / name, LIFT)))
            except FileNotFoundError:
                continue  # it is being written
            except (OSError, ValueError) as error:
                warnings.append(f"the lift of run {name} is not used: {shorten(reason_of(error))}")
    return lifts, warnings


def pool_lifts(lifts: Sequence[Lift], assumed: Mapping[str, float]) -> dict[str, OfferEffect]:
    """Return offer -> its effect over all campaigns that measured it; `assumed` has those of the segments file."""
    pooled = {}
    for offer, effect in assumed.items():
        rows = [row for lift in lifts for row in lift.offers if row["offer"] == offer]
        measured = [
            Effect(row["effect"], row["standard_error"])
            for row in rows
            if row["effect"] is not None and row["standard_error"]
        ]
        if measured:
            pooled[offer] = OfferEffect(
                pool_effects(measured, assumed=effect),
                effect,
                len(measured),
                sum(row["treated"] for row in rows),
                sum(row["control"] for row in rows),
            )
    return pooled


def effects_of(pooled: Mapping[str, OfferEffect]) -> dict[str, float]:
    """Return offer -> effect, as the manifest has it and as contacts are planned with it."""
    return {offer: rounded(result.pooled.effect, 6) for offer, result in pooled.items()}


def _parse(run_id: str, text: bytes) -> Lift:
    """Return a lift. Raises ValueError if it is none of this run."""
    plain = parse_object(text)
    check(plain, LiftFile)
    if plain["run_id"] != run_id:
        raise ValueError(f"it is of run {plain['run_id']:.40}")
    offers = cast("list[LiftOffer]", plain["offers"])
    if any(abs(offer["effect"] or 0.0) > LARGEST_EFFECT or (offer["standard_error"] or 1.0) <= 0 for offer in offers):
        raise ValueError("an effect that is none")
    return Lift(run_id, tuple(offers), plain)
