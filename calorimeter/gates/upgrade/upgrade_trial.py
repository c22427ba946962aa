"""What requests and stacks went through during an upgrade: the evidence of U1 to U4."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.recorded.upgrade_record import LostStack, UpgradeRecord, UpgradeStep
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure

SILENT_S = 60.0
"""A stack that had no message for so long is stuck; its resources take no time of their own."""


class StepRequests(Model):
    """The load's requests that were due from a step's begin until the next one's.

    `unexcused` are those that failed, and were due when the procedure promises that none fails;
    `examples` are the first of them.
    """

    step: UpgradeStep
    requests: int
    failed: int
    unexcused: int
    examples: tuple[str, ...] = ()


class UpgradeTrial(Model):
    """Evidence of U1 to U4: an upgrade, and the load beside it.

    `before` and `failed_before` count the requests that were due before the first step, `steps` the others.
    `accepted`, `complete` and `failed` count the stacks of the load; `failed_stacks` are those that failed
    and were accepted after the first step began.
    """

    record: UpgradeRecord
    before: int
    failed_before: int
    steps: tuple[StepRequests, ...]
    accepted: int
    complete: int
    failed: int
    failed_stacks: tuple[str, ...] = ()

    def of(self, *, back: bool) -> tuple[StepRequests, ...]:
        """The steps that took something back, or the others."""
        return tuple(each for each in self.steps if each.step.planned.back == back)

    def may_go_on(self, stack: LostStack) -> bool:
        """Whether a stack that is not final may just be slow: it had a message not long before the end."""
        return bool(stack.delivered_ns) and stack.silent_s < SILENT_S

    def lost_in(self, *, back: bool) -> tuple[LostStack, ...]:
        """The stacks that were lost in steps that took something back, or in the others."""
        names = {f"{each.step.planned}" for each in self.of(back=back)}
        return tuple(each for each in self.record.lost if each.step in names)

    def gaps(self) -> Iterator[str]:
        """Why the evidence proves nothing about the whole upgrade."""
        if self.record.whole:
            return
        broken = next((each for each in self.record.steps if each.end != "done"), None)
        if broken is None:
            yield "the upgrade was not finished"
        else:
            why = f": {broken.why}" if broken.why else ""
            yield f"the upgrade ended with {broken.planned} ({broken.end or 'interrupted'}{why})"

    @property
    def unseen(self) -> str:
        """A clause on the steps that another run holds, which is to be judged, too; empty without them."""
        earlier = self.record.continues
        return f"; the steps before these are judged in {earlier}" if earlier else ""

    def figures(self) -> dict[str, Figure]:
        """The figures of every verdict."""
        return {
            "steps": len(self.record.steps),
            "steps_planned": len(self.record.plan),
            "requests": sum(each.requests for each in self.steps),
            "failed": sum(each.failed for each in self.steps),
            "stacks_accepted": self.accepted,
            "stacks_complete": self.complete,
            "stacks_failed": self.failed,
            "stacks_lost": len(self.record.lost),
        }
