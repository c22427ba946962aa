"""Verdicts over time: the outcomes of each gate on a deployment, and what changed with the last change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calorimeter.core.verdict import Outcome, gate_order
from calorimeter.report.history.causes import ChangedFact, changed_facts
from calorimeter.report.history.run_folders import PlacedRun


@dataclass(frozen=True, slots=True)
class GateOutcomes:
    """The outcomes of one gate on a deployment, with their runs, by time.

    `since` is the place of the first run with the outcome that it has now; `causes` are the facts that
    differ between that run and the one before (empty if the outcome never changed).
    """

    deployment: str
    gate: str
    outcomes: tuple[Outcome, ...]
    runs: tuple[PlacedRun, ...]
    since: int
    causes: tuple[ChangedFact, ...]

    @property
    def now(self) -> Outcome:
        """The last outcome."""
        return self.outcomes[-1]

    @property
    def before(self) -> Outcome | None:
        """The outcome before the last change; None if it never changed."""
        return self.outcomes[self.since - 1] if self.since else None


def gate_outcomes(runs: Iterable[PlacedRun]) -> tuple[GateOutcomes, ...]:
    """Each gate of each deployment, of runs that are in order of time.

    Where a gate did not run says nothing of it: NOT RUN is left out, unless it is all that there is.
    """
    found: dict[tuple[str, str], list[PlacedRun]] = {}
    for run in runs:
        for gate in run.point.verdicts:
            found.setdefault((run.point.deployment, gate), []).append(run)
    return tuple(
        _outcomes(*key, found[key]) for key in sorted(found, key=lambda key: (key[0], gate_order(key[1])))
    )


def _outcomes(deployment: str, gate: str, runs: list[PlacedRun]) -> GateOutcomes:
    ran = [run for run in runs if run.point.verdicts[gate] is not Outcome.NOT_RUN] or runs
    outcomes = [run.point.verdicts[gate] for run in ran]
    since = max((i for i in range(1, len(ran)) if outcomes[i] is not outcomes[i - 1]), default=0)
    causes = changed_facts([ran[since - 1].point.facts], [ran[since].point.facts]) if since else ()
    return GateOutcomes(deployment, gate, tuple(outcomes), tuple(ran), since, causes)
