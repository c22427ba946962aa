"""What an upgrade under load did, and which stacks it lost: `evidence/upgrade.json` of the load's run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from calorimeter.core.recorded.recorded_json import LATEST_NS, Count, Duration, Time
from calorimeter.core.toml import Model

StepEnd = Literal["done", "failed", "interrupted"]


class PlannedStep(Model):
    """One action on one part (`KIND/NAME`; empty: on none), towards a release on a virtual host.

    `back` is whether it takes an earlier step back. `within_s` limits the action, and then the wait for its
    effect; `may_fail_s` is for how long after its begin requests may fail, as the procedure promises.
    `command` is that of an action `run`.
    """

    number: int
    title: str
    action: str
    part: str = ""
    release: str = ""
    vhost: str = ""
    back: bool = False
    within_s: Duration = 120.0
    may_fail_s: Duration = 0.0
    command: str | None = None

    @property
    def name(self) -> str:
        """The name of its part, without the kind."""
        return self.part.rpartition("/")[2]

    @property
    def kind(self) -> str:
        """The kind of its part."""
        return self.part.partition("/")[0]

    def __str__(self) -> str:
        return f"step {self.number}, {self.action}{f' {self.name}' if self.part else ''}"


class UpgradeStep(Model):
    """A step that was begun; times are ns since the epoch, `ended_ns` 0 while it runs.

    `why` is the reason of a failure, or what was not waited for.
    """

    planned: PlannedStep
    began_ns: Time
    ended_ns: Time = 0
    end: StepEnd | None = None
    why: str = ""


class CrossedStack(Model):
    """A stack that one release made and the other one changed, each asked at its own API.

    `outcome` is the state that the operation was to end in, or what came instead (a state, or the API's
    answer).
    """

    made_by: str
    changed_by: str
    operation: Literal["create", "update", "delete"]
    stack: str
    wanted: str
    outcome: str
    took_s: Duration


class LostStack(Model):
    """A stack that was accepted and never became final, with the last message of its request that was seen.

    `engine` is the process that the message was delivered to; empty if it never was, or is unknown. `step`
    is what was done when the message was delivered, else published; `silent_s` is how long after that no
    message of the stack was seen, until the end of the recording.
    """

    stack: str
    stack_id: str
    accepted_ns: Time
    request_id: str = ""
    vhost: str = ""
    method: str = ""
    queue: str = ""
    resource_id: str = ""
    published_ns: Time = 0
    delivered_ns: Time = 0
    engine: str = ""
    step: str = ""
    silent_s: Duration = 0.0

    def __str__(self) -> str:
        if not self.method:
            return f"{self.stack}: no message of it was seen"
        where = f"delivered to {self.engine or 'an engine'}" if self.delivered_ns else "never delivered"
        when = f" in {self.step}" if self.step else ""
        return f"{self.stack}: {self.method} on {self.vhost}, {where}{when}"


class EngineWork(Model):
    """Messages that an engine got: second since the epoch → how many."""

    engine: str
    vhost: str
    seconds: dict[Annotated[int, Field(ge=0, le=LATEST_NS // 10**9)], Count] = {}


class UpgradeRecord(Model):
    """An upgrade from one release of Heat to another, by a procedure, while a load ran.

    `plan` are all its steps, `steps` those that were begun, `continues` the run whose upgrade this one goes
    on with. `whole` is whether all steps are done. `untraced` are reasons why messages may be missing.
    """

    schema_version: int = 1
    procedure: str
    deployment: str = ""
    continues: str = ""
    plan: tuple[PlannedStep, ...] = ()
    from_release: str
    to_release: str
    old_vhost: str
    new_vhost: str
    steps: tuple[UpgradeStep, ...] = ()
    crossed: tuple[CrossedStack, ...] = ()
    lost: tuple[LostStack, ...] = ()
    work: tuple[EngineWork, ...] = ()
    untraced: tuple[str, ...] = ()
    whole: bool = False

    def step_at(self, t_ns: int) -> UpgradeStep | None:
        """The step that was under way at a time, else the last that had ended; None before the first."""
        begun = [step for step in self.steps if step.began_ns <= t_ns]
        return begun[-1] if begun else None
