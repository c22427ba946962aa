"""The measured part of a load: pages, gates T and studies all take their figures from the same requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from calorimeter.core.recorded.recorded_json import LONGEST_S
from calorimeter.core.recorded.sample_tables import Mask, in_phase, ns
from calorimeter.core.statistics import Ints


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a run: from `first_ns` to `last_ns` (ns since the epoch), both included."""

    first_ns: int
    last_ns: int

    @property
    def length_s(self) -> float:
        """Its length; 0 if it holds a single moment."""
        return (self.last_ns - self.first_ns) / 1e9

    def holds(self, times_ns: Ints) -> Mask:
        """Which of the times lie in it."""
        return np.asarray((times_ns >= self.first_ns) & (times_ns <= self.last_ns))


def measured_part(samples: pd.DataFrame, about: Mapping[str, Any]) -> Span | None:
    """The load without warm-up and clean-up; None if no request was due in it.

    A request belongs to the part if it was *due* in it, whenever it was sent or answered and whatever
    became of it. Its label `phase` does not decide: a request that is due before a phase ends and answered
    after it may carry either name, and to leave out the slow ones would flatter the rest.

    `samples` are those of `sample_tables.samples`, `about` is run.json. If the load ended in order, the
    part is what run.json says of it, counted from the first request that was due: from the end of
    `warm_up_s` to the end of `duration_s`, but no further than the first request of the clean-up that was
    due after the last one of the load. Otherwise, and for runs that do not note these, it reaches from the
    first to the last request of the load's own phases, without what was due up to the last request of the
    warm-up. That is shorter than the part if requests are few, and makes rates look better than they were;
    so it is used only if nothing better is known.
    """
    due = ns(samples, "scheduled_ns")
    warming, cleaning = in_phase(samples, "warm_up"), in_phase(samples, "clean_up")
    load = due[~warming & ~cleaning]
    if not len(load):
        return None
    part = _as_noted(about, due, load, due[cleaning]) or _by_requests(due[warming], load)
    return part if part.holds(due).any() else None


def _as_noted(about: Mapping[str, Any], due: Ints, load: Ints, removal: Ints) -> Span | None:
    noted = about.get("load")
    if about.get("stopped") != "ended" or not isinstance(noted, dict):
        return None
    warm_up_s, length_s = noted.get("warm_up_s"), noted.get("duration_s")
    if not isinstance(warm_up_s, int | float) or not isinstance(length_s, int | float):
        return None
    if not (0 <= warm_up_s <= LONGEST_S and 0 <= length_s <= LONGEST_S):
        return None
    begin = int(due.min())
    end = max(begin + int(length_s * 1e9), int(load.max()))
    # The first request may come later than the load began: then the clean-up begins before the time is up.
    later = removal[removal > load.max()]
    return Span(begin + int(warm_up_s * 1e9), min(end, int(later.min()) - 1) if len(later) else end)


def _by_requests(warm_up: Ints, load: Ints) -> Span:
    first, last = int(load.min()), int(load.max())
    return Span(min(max(first, int(warm_up.max()) + 1), last) if len(warm_up) else first, last)


def due_within(samples: pd.DataFrame, part: Span) -> pd.DataFrame:
    """The samples that were due in a part; the same table if that is all of them."""
    inside = part.holds(ns(samples, "scheduled_ns"))
    return samples if inside.all() else samples[inside]
