"""An acceptance run: which gates may run, and how evidence becomes a verdict that is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import pytest

from calorimeter.core import verdict as verdicts
from calorimeter.core.deployment import Consent, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import announcement, refusal
from calorimeter.core.host import netns
from calorimeter.core.recorded import folders_of_runs, growth, upgrade_file
from calorimeter.core.recorded.gate_times import GateTimes
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.shown_text import plain
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Outcome, Verdict, inconclusive
from calorimeter.gates import expected_time, gate_docs, markdown_summary, repeat_command, time_line
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.progress import STYLES, Progress, Style
from calorimeter.gates.registry import (
    GATES,
    RECORDINGS,
    Beside,
    Gate,
    check_waivers,
    known,
    select,
    why_not_run,
)
from calorimeter.gates.verify_options import Given

E = TypeVar("E", bound=Model)

PREPARED = "calorimeter-session"
"""Name of the pytest plugin that hands over the session of `calorimeter verify`."""


class AcceptanceRun:
    """One acceptance run: its deployment, its run folder and its verdicts so far.

    `repeat` gives the command that runs a gate again, with the options of this run.
    """

    def __init__(self, context: Context, run: RunDir, given: Given) -> None:
        self.context = context
        self.run = run
        self.given = given
        self.new: dict[str, Verdict] = {}
        self._begun: list[Beside] = []
        self.allowed: list[str] = []
        self.items: dict[str, Gate] = {}
        self.repeat: Callable[[str], str] = lambda gate_id: repeat_command.verify(
            given, self.named, gate_id
        )

    @classmethod
    def prepare(cls, given: Given) -> AcceptanceRun:
        """Read the deployment, select the gates, check that the deployment answers, open the run folder.

        Raises InputError: such a problem is not a verdict on the deployment.
        """
        markdown_summary.check(given.summary)
        gates = known()
        available = {gate_id: gates[gate_id] for gate_id in gates if gate_id in (given.collected or gates)}
        chosen = select(given.gates, available)
        existing = RunDir.open(given.run) if given.run else None
        if existing and (file := existing.path / "verdicts.json").exists():
            verdicts.read(file)  # a damaged one is refused here, before the first verdict is added
        for baseline in given.baseline:
            RunDir.open(baseline)
        for history in given.history:
            folders_of_runs.check([history])
        deployment = cls._deployment(given, existing, [gates[gate_id] for gate_id in chosen])
        check_waivers(deployment, gates)
        level = deployment.consent.level
        may_break = level.allows(Consent.INVASIVE) and refusal(deployment, given.yes_break_it) is None
        context = Context(
            deployment,
            given.settings,
            may_break=may_break,
            run=existing,
            baseline=given.baseline,
            history=given.history,
        )
        context.preflight([gate_id for gate_id in chosen if level.allows(gates[gate_id].consent)])
        run = existing or RunDir.create(deployment, runs=given.runs, name="verify")
        run.note_command()
        session = cls(context, run, given)
        session.allowed = session.admit(chosen, given.yes_break_it)
        return session

    @staticmethod
    def _deployment(given: Given, run: RunDir | None, chosen: list[Gate]) -> Deployment:
        """The deployment given; or the run's copy, if all chosen gates only judge what the run recorded."""
        if run and not given.deployment and all(set(gate.needs) <= set(RECORDINGS) for gate in chosen):
            return run.deployment()
        deployment = netns.open_deployment(given.deployment)
        if not deployment.consent.level.allows(Consent.LOAD):
            return deployment
        from calorimeter.core.login import lent_ec2

        found, why = lent_ec2.lend(deployment)
        if why is not None:
            logging.getLogger("calorimeter").warning(f"no EC2 credentials for CFN: {why}")
        return found

    @property
    def named(self) -> Path | None:
        """The deployment file, as it was given if it was; None if it is the run folder's copy."""
        if self.given.deployment:
            return Path(self.given.deployment)
        copied = self.deployment.path.is_relative_to(self.run.path.absolute())
        return None if copied else self.deployment.path

    @property
    def deployment(self) -> Deployment:
        """The deployment under test."""
        return self.context.deployment

    def admit(self, chosen: dict[str, bool], yes_break_it: bool) -> list[str]:
        """The ids of the chosen gates that may run; the others get their verdict here.

        Each gate needs the owner's consent. A gate that injects faults needs `--yes-break-it` unless the
        deployment is a lab; one that reads files needs a deployment that names them; one that judges a
        recorded load needs a run folder.

        A gate that may not run is INCONCLUSIVE if it was named by its id, and NOT RUN if it was selected
        with its group.
        """
        run = self.context.run
        given = {
            "recorded load": run,
            "recorded upgrade": run is not None and upgrade_file.is_upgrade(run),
            "baseline": self.context.baseline,
            "history": self.context.history,
            "soak": run is not None and growth.is_soak(run.about),
        }
        recordings = [name for name, value in given.items() if value]
        for gate_id, named in chosen.items():
            gate = GATES[gate_id]
            why = why_not_run(gate, self.deployment, recordings, yes_break_it)
            if why is None and self.given.fast and not named and not gate.quick:
                why = "--fast leaves it out: it injects faults or load, or waits long; name it by its id"
            if why is not None:
                outcome = Outcome.INCONCLUSIVE if named else Outcome.NOT_RUN
                self.keep(gate, Judgement(outcome=outcome, why=why))
        return [gate_id for gate_id in chosen if gate_id not in self.new]

    def announce(self) -> list[str]:
        """What users must know first: that TLS is not verified, and the faults of the allowed gates."""
        tls = self.deployment.tls.warning
        planned = [
            each
            for gate_id in self.allowed
            for each in GATES[gate_id].planned(self.deployment, may_break=self.context.may_break)
        ]
        faults = announcement(self.deployment, dict.fromkeys(planned)) if planned else []
        return [f"note: {tls}", *faults] if tls else faults

    def keep(
        self, gate: Gate, judgement: Judgement, evidence: Iterable[str] = (), waived: str | None = None
    ) -> Verdict:
        """Write a gate's verdict to verdicts.json; `evidence` are files, relative to the run folder."""
        if self.given.fast and (less := self.context.weaker()):
            judgement = judgement.model_copy(update={"why": f"{judgement.why} ({less})"})
        verdict = Verdict(
            gate=gate.id,
            heading=gate.heading,
            guide=gate.guide,
            judgement=judgement,
            waived=self.deployment.waive.get(gate.id, waived),
            evidence=tuple(evidence),
        )
        self.new[gate.id] = verdict
        verdicts.add(self.new.values(), self.run.path / "verdicts.json")
        return verdict

    def broken(self, gate: Gate, problem: BaseException | None) -> Verdict:
        """Keep INCONCLUSIVE for a gate whose test raised `problem`, or judged nothing if that is None."""
        if problem is None:
            why = "the gate judged nothing"
        elif isinstance(problem, EvidenceUnavailable):
            why = f"{problem.where}: {problem.why}"
        elif isinstance(problem, InputError):
            why = str(problem)
        elif isinstance(problem, pytest.skip.Exception):
            why = f"skipped: {problem}"
        else:
            why = _crash("gate", problem)
        return self.keep(gate, inconclusive(why))

    @property
    def times(self) -> GateTimes:
        """When the gates ran, with the strength of the run."""
        return self.context.time_line.times.model_copy(update={"settings": asdict(self.context.settings)})

    def prepare_for(self, gate: Gate) -> None:
        """Before a gate: begin what can go on beside it, and wait for what cannot."""
        ahead = [GATES[gate_id] for gate_id in self.allowed if gate_id not in self.new]
        beside = [each.beside for each in ahead if each is not gate and each.beside]
        if not any(gate.id in each.gates for each in beside):
            self.context.settle()
        for each in beside:
            if gate.id in each.gates and each not in self._begun:
                self._begun.append(each)
                self.context.begin_aside(each.experiment)

    @property
    def refused(self) -> bool:
        """Whether a gate is FAIL or INCONCLUSIVE and is not waived."""
        return any(verdict.refuses for verdict in self.new.values())

    def summary(self) -> Iterable[tuple[str, Style]]:
        """The verdicts for a terminal: each line with its style (keywords of click.style).

        A gate that is FAIL or INCONCLUSIVE ends with its page in the docs and the command that repeats it.
        """
        ordered = sorted(self.new.values(), key=lambda v: verdicts.gate_order(v.gate))
        for verdict in ordered:
            judgement = verdict.judgement
            waived = f" (waived: {verdict.waived})" if verdict.waived else ""
            yield (
                f"{judgement.outcome.value:<12} {verdict.gate:<4} {verdict.heading}{waived}",
                STYLES[judgement.outcome],
            )
            yield f"{'':<17} {judgement.why}", {}
            for example in judgement.counter_examples:
                yield f"{'':<17} - {example}", {}
            if verdict.refuses:
                if GATES[verdict.gate].shipped and (page := gate_docs.link(verdict.gate)):
                    yield f"{'':<17} docs: {page}", {}
                yield f"{'':<17} again: {self.repeat(verdict.gate)}", {}
        yield "", {}
        for line in time_line.lines(self.context.time_line.times) if self.given.timings else ():
            yield line, {}
        yield verdicts.count(ordered), {"bold": True}
        yield f"verdicts: {self.run.path / 'verdicts.json'}", {}

    def write_summary(self) -> None:
        """Write the verdicts as Markdown to the file of --summary and to the summary of a CI job."""
        text = markdown_summary.markdown(self.deployment.name, self.run.path, self.new.values())
        markdown_summary.write(text, self.given.summary)


def _crash(part: str, problem: BaseException) -> str:
    return f"the {part} itself broke: {type(problem).__name__}: {' '.join(str(problem).split())}"


class Prepared:
    """The pytest plugin that hands over the session of `calorimeter verify` and prints the progress.

    It replaces pytest's own reporter. `interrupted` is whether Ctrl-C ended the run.
    """

    __name__ = PREPARED

    def __init__(self, session: AcceptanceRun, progress: Progress) -> None:
        self.session = session
        self.interrupted = False
        self._progress = progress
        self._expected = expected_time.of_earlier_runs(
            session.given.runs, session.deployment.name, asdict(session.context.settings)
        )
        session.context.show = progress.phase

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Switch pytest's own report off."""
        config.pluginmanager.unregister(name="terminalreporter")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note the interrupt: pytest's exit status is the one of unusable input, too."""
        self.interrupted = isinstance(excinfo.value, KeyboardInterrupt)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Announce the gate."""
        order = list(self.session.items)
        gate = self.session.items[nodeid]
        number = order.index(nodeid)
        ahead = [each.id for each in list(self.session.items.values())[number:]]
        left = expected_time.left(self._expected, ahead)
        self._progress.begins(number + 1, len(order), gate.id, gate.heading, left)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the gate's verdict, or the error of its set-up or teardown."""
        if report.when == "teardown":
            gate = self.session.items[report.nodeid]
            kept = self.session.new.get(gate.id)
            self._progress.ended(gate.id, kept.judgement if kept else None)
        if report.when != "call" and report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self._progress.line(f"calorimeter: {crash.message if crash else report.longrepr}")


class Judge:
    """The fixture `judge`: a gate calls `judge(evidence, check)`."""

    def __init__(self, session: AcceptanceRun, gate: Gate) -> None:
        self._session = session
        self._gate = gate

    def __call__(
        self,
        evidence: E,
        check: Callable[[E], Judgement],
        *,
        name: str | None = None,
        waived: str | None = None,
    ) -> None:
        """Keep `evidence` as `evidence/<name>.json` (default: the gate's id), judge it, keep the verdict.

        Fails the test unless the verdict is PASS or waived; skips it if the verdict is NOT RUN. The verdict
        is INCONCLUSIVE if the check crashes. `waived` is the owner's reason if everything that the evidence
        shows is waived singly.
        """
        kept = self._session.run.save_evidence(name or self._gate.id, evidence)
        try:
            judgement = check(evidence)
        except Exception as problem:
            judgement = inconclusive(_crash("check", problem))
        verdict = self._session.keep(self._gate, judgement, [str(kept)], waived)
        if judgement.outcome is Outcome.NOT_RUN:
            pytest.skip(plain(judgement.why))
        if not verdict.acceptable:
            reason = f"{verdict.gate} {judgement.outcome.value}: {judgement.why}"
            pytest.fail(plain("\n  ".join([reason, *judgement.counter_examples])), pytrace=False)
