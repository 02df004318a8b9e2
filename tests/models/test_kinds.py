"""Each kind of model that may be deployed is whole: a class that can be loaded, run and written, and a candidate."""

from __future__ import annotations

from importlib import import_module
from inspect import getattr_static

import pytest

from job.models.kinds import KINDS, Model
from job.training.candidates import BOOSTED, CHAMPION, REFERENCES

NEEDED = [name for name in vars(Model) if not name.startswith("_")]


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_all_that_is_needed(name: str) -> None:
    kind = KINDS[name]
    own = getattr(import_module(kind.module), kind.class_name)
    assert own.kind == name
    assert {"kind", "explained", "margins", "probabilities", "contributions", "texts"} <= set(NEEDED)
    fields = own.__annotations__
    assert [need for need in (*NEEDED, "load") if need not in fields and getattr_static(own, need, None) is None] == []
    assert kind.title


def test_what_may_be_deployed_is_a_candidate_and_the_other_way_round() -> None:
    assert [candidate.name for candidate in (CHAMPION, BOOSTED)] == list(KINDS)
    assert not KINDS.keys() & {candidate.name for candidate in REFERENCES}
