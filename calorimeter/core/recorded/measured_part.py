"""The measured part of a load: pages, gates T and studies all take their figures from the same requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calorimeter.core.recorded import objective_test
from calorimeter.core.recorded.recorded_json import LONGEST_S
from calorimeter.core.recorded.sample_extent import SampleExtent
from calorimeter.core.recorded.sample_stream import Mask
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


def measured_part(extent: SampleExtent, about: Mapping[str, Any]) -> Span | None:
    """The load without warm-up and clean-up; None if no request was due in it.

    A request belongs to the part if it was *due* in it, whenever it was sent or answered and whatever
    became of it. Its label `phase` does not decide: a request that is due before a phase ends and answered
    after it may carry either name, and to leave out the slow ones would flatter the rest.

    `about` is run.json. If the load ended in order, the part is what run.json says of it, counted from the
    first request that was due: from the end of `warm_up_s` to the end of `duration_s`, or to the last
    request of the load if an objective ended it early, but no further than the first request of the
    clean-up that was due after the last one of the load. Otherwise, and for runs
    that do not note these, it reaches from the first to the last request of the load's own phases, without
    what was due up to the last request of the warm-up. That is shorter than the part if requests are few,
    and makes rates look better than they were; so it is used only if nothing better is known.
    """
    load = extent.load()
    if load is None:
        return None
    noted = _as_noted(about, extent, load[1])
    if noted is None:
        return _by_requests(extent.phases.get("warm_up"), *load)
    begun = noted.first_ns <= load[1]  # the part holds the load's last request at least
    return noted if begun or any(noted.holds(own).any() for own in extent.later.values()) else None


def _as_noted(about: Mapping[str, Any], extent: SampleExtent, last_ns: int) -> Span | None:
    noted, stopped = about.get("load"), about.get("stopped")
    if stopped not in ("ended", objective_test.STOPPED) or not isinstance(noted, dict):
        return None
    warm_up_s, length_s = noted.get("warm_up_s"), noted.get("duration_s")
    if not isinstance(warm_up_s, int | float) or not isinstance(length_s, int | float):
        return None
    if not (0 <= warm_up_s <= LONGEST_S and 0 <= length_s <= LONGEST_S):
        return None
    begin = extent.first_ns
    end = last_ns if stopped == objective_test.STOPPED else max(begin + int(length_s * 1e9), last_ns)
    # The first request may come later than the load began: then the clean-up begins before the time is up.
    removal = extent.later["clean_up"]
    return Span(begin + int(warm_up_s * 1e9), min(end, int(removal.min()) - 1) if len(removal) else end)


def _by_requests(warm_up: tuple[int, int] | None, first: int, last: int) -> Span:
    return Span(min(max(first, warm_up[1] + 1), last) if warm_up else first, last)
