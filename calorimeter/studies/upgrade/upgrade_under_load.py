"""An upgrade beside a load: its steps in a thread, the trace around them, and the record of both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.shell_command import CommandFailed
from calorimeter.core.recorded import upgrade_file
from calorimeter.core.recorded.recorded_tables import RecordedRows
from calorimeter.core.recorded.rundir import UPGRADED, RunDir
from calorimeter.core.recorded.upgrade_record import LostStack, PlannedStep, UpgradeRecord, UpgradeStep
from calorimeter.core.waiting import CancelledError
from calorimeter.gates.clients.stacks import Stacks
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.load.run.followed_load import BegunLoad
from calorimeter.studies.upgrade.step_actions import StepActions
from calorimeter.studies.upgrade.upgrade_plan import ReleaseChange
from calorimeter.studies.upgrade.upgrade_trace import UpgradeTrace, engine_work, lost_stacks

TAIL_S = 20.0
"""How long the load goes on after the last step."""

BURST_FINAL_S = 150.0
"""How long the stacks of a burst are waited for: beyond their own timeout of 2 minutes."""


class UpgradeUnderLoad:
    """Runs the steps of `record.plan` that are not done, once the load has begun; then ends the load.

    `lead_s` is how long the load goes on before the first step. `say` reports each step. `record` is kept
    in the load's run folder after each step.
    """

    def __init__(
        self,
        deployment: Deployment,
        change: ReleaseChange,
        record: UpgradeRecord,
        lead_s: float,
        say: Callable[[str], None],
    ) -> None:
        self.record = record
        self._deployment = deployment
        self._change = change
        self._lead_s = lead_s
        self._say = say
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._trace = UpgradeTrace(deployment)
        self._run: RunDir | None = None
        self._bursts: list[Stacks] = []

    def begin(self, load: BegunLoad) -> None:
        """The load has begun: start the steps."""
        self._run = RunDir.open(load.run)
        self._keep()
        self._thread = threading.Thread(target=self._upgrade, args=(load,), name="upgrade")
        self._thread.start()

    def end(self) -> None:
        """End after the action that is under way, which is not interrupted; then end the trace."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._trace.close()

    def _upgrade(self, load: BegunLoad) -> None:
        try:
            self._trace.begin(self._change.old_vhost)
            if self._began_new_vhost():
                self._trace.begin(self._change.new_vhost)
            self._stop.wait(self._lead_s)
            done = [step for step in self.record.steps if step.end == "done"]
            actions = StepActions(self._deployment, self._change, self._trace, self._stop, done)
            self._bursts = actions.bursts
            self._steps(actions)
            self._await_bursts()
            self._stop.wait(TAIL_S)
        except Exception as problem:
            self._say(f"the upgrade ended: {type(problem).__name__}: {problem}")
            raise
        finally:
            load.end()
            for stacks in self._bursts:  # only now: to delete them takes engines away from the load
                stacks.remove()

    def _began_new_vhost(self) -> bool:
        """Whether an upgrade that this one continues has made the new virtual host."""
        return any(step.planned.action == "add-vhost" and step.end == "done" for step in self.record.steps)

    def _steps(self, actions: StepActions) -> None:
        done = {step.planned.number for step in self.record.steps if step.end == "done"}
        for step in self.record.plan:
            if step.number in done:
                continue
            if self._stop.is_set() or not self._step(actions, step):
                return
        self._update(whole=True)

    def _step(self, actions: StepActions, step: PlannedStep) -> bool:
        """Carry one step out and record it; whether the next one may follow."""
        self._say(f"{step}: {step.title}")
        earlier = tuple(each for each in self.record.steps if each.planned.number != step.number)
        begun = UpgradeStep(planned=step, began_ns=time.time_ns())
        self._update(steps=(*earlier, begun))
        try:
            end = {"end": "done", "why": actions.carry_out(step)}
        except CancelledError:
            end = {"end": "interrupted", "why": "the load ended"}
        except (CommandFailed, EvidenceUnavailable, InputError) as problem:
            end = {"end": "failed", "why": str(problem)}
        ended = begun.model_copy(update={"ended_ns": time.time_ns(), **end})
        took_s = (ended.ended_ns - ended.began_ns) / 1e9
        self._say(f"  {ended.end} after {took_s:.1f} s{f': {ended.why}' if ended.why else ''}")
        self._update(steps=(*earlier, ended), crossed=tuple(actions.crossed))
        return ended.end == "done"

    def _await_bursts(self) -> None:
        """Wait until the stacks of bursts are final, or their own timeout is over."""
        for stacks in self._bursts:
            self._say("waiting until the stacks of the burst are final")
            stacks.await_final(BURST_FINAL_S)

    def _update(self, **fields: object) -> None:
        self.record = self.record.model_copy(update=fields)
        self._keep()

    def _keep(self) -> None:
        if self._run is not None:
            self._run.save_evidence(upgrade_file.NAME, self.record)

    def finish(self) -> RunDir | None:
        """The load has ended: name the stacks that were lost, and complete the record; the run folder."""
        if self._run is None:
            return None
        entries = [*_never_final(self._run), *self._lost_in_bursts()]
        messages = self._trace.messages()
        lost = tuple(lost_stacks(entries, messages, self.record))
        work = tuple(engine_work(messages))
        self._update(lost=lost, work=work, untraced=tuple(self._trace.doubts))
        if self.record.whole:
            with suppress(InputError):
                self._run.note(stopped=UPGRADED)
        return self._run

    def _lost_in_bursts(self) -> Iterator[LostStack]:
        for stacks in self._bursts:
            for record in stacks.records:
                if record.taken and (not record.final or record.outcome == "CREATE_FAILED"):
                    yield LostStack(
                        stack=f"{record.name} ({record.outcome or 'never listed'})",
                        stack_id=record.stack_id or "",
                        accepted_ns=record.create.done_ns,
                        request_id=record.create.request_id or "",
                    )


def _never_final(run: RunDir) -> Iterator[LostStack]:
    """The stacks of the load's ledger that were never seen in a final state, and actions without an end."""
    for kind, what in (("ledger", "name"), ("actions", "operation")):
        if not run.parquet(kind):
            continue
        columns = ("stack_id", "request_id", "accepted_ns", "final_state", what)
        for batch in RecordedRows(run, kind).batches(columns):
            for row in batch.to_pylist():
                if row["final_state"]:
                    continue
                yield LostStack(
                    stack=row["name"] if what == "name" else f"{row[what]} of {row['stack_id']}",
                    stack_id=row["stack_id"],
                    accepted_ns=row["accepted_ns"],
                    request_id=row["request_id"] or "",
                )
