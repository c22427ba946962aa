"""Whether a load was the one requested: lost workers, clocks that differ, an early end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from calorimeter.core.recorded import objective_test
from calorimeter.core.recorded.load_generator import clock_is_off

About = Mapping[str, Any]


def workers(about: About) -> list[dict[str, Any]]:
    """What run.json notes of each generating process; empty if it has another shape."""
    noted = about.get("workers")
    return [each for each in noted if isinstance(each, dict)] if isinstance(noted, list) else []


def why_not(about: About) -> str:
    """Why a load is not complete, as a clause after "because"; empty if nothing shows that."""
    gone = [str(each.get("worker")) for each in workers(about) if each.get("lost") is True]
    if gone:
        return f"{', '.join(gone)} was lost, and its part of the load with it"
    stopped = about.get("stopped")
    if stopped == "interrupted":
        return "it was interrupted before its duration had elapsed"
    if stopped == objective_test.STOPPED:
        return "a missed objective ended it early (--abort-on-objective)"
    if stopped == "failed":
        return "its generator or its recording failed"
    if about.get("clean_stop") is False:
        return "it was killed, or is still running"
    return ""


def limits(about: About) -> Iterator[str]:
    """A sentence for each worker that was lost or whose clock is or may be off, and on an early end."""
    if about.get("stopped") == objective_test.STOPPED:
        yield (
            "A missed objective ended the load early: the moment was chosen by what was measured, so its "
            "figures are worse than those of a load of fixed length would be, on average."
        )
    for each in workers(about):
        name = f"{each.get('worker')} on {each.get('host')}"
        if each.get("lost") is True:
            yield f"{name} was lost: its part of the load ended then, and its last samples may be missing."
        yield from _clock(name, each)


def _clock(name: str, noted: Mapping[str, Any]) -> Iterator[str]:
    if "clock_offset_s" not in noted:
        return  # one process alone has one clock
    offset_s, within_s = noted["clock_offset_s"], noted.get("clock_offset_within_s")
    if not isinstance(offset_s, int | float):
        yield f"{name} did not report its time: its samples may have times that differ from the others'."
    elif clock_is_off(offset_s, within_s if isinstance(within_s, int | float) else 0.0):
        yield f"The clock of {name} is {offset_s:+.3f} s off its master's, and so are its samples."
