"""From evidence to a verdict that is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from calorimeter.core import netns, paths
from calorimeter.core import verdict as verdicts
from calorimeter.core.deployment import Consent, Deployment
from calorimeter.core.deployment import read as read_deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import announcement, refusal
from calorimeter.core.rundir import RunDir
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Outcome, Verdict, Verdicts, inconclusive
from calorimeter.gates import markdown_summary
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.progress import Progress
from calorimeter.gates.registry import (
    GATES,
    RECORDINGS,
    Gate,
    known,
    missing_files,
    missing_recordings,
    select,
)

E = TypeVar("E", bound=Model)

PREPARED = "calorimeter-session"
"""Name of the pytest plugin that hands a prepared session over."""

COLOURS = {
    Outcome.PASS: {"green": True},
    Outcome.FAIL: {"red": True, "bold": True},
    Outcome.INCONCLUSIVE: {"yellow": True, "bold": True},
    Outcome.NOT_RUN: {"light": True},
}


@dataclass(frozen=True, slots=True)
class Given:
    """The command line of an acceptance run; `collected` are the gates that pytest found (None: all)."""

    deployment: str | None
    gates: str | None
    run: Path | None
    runs: Path
    settings: Settings
    yes_break_it: bool = False
    baseline: tuple[Path, ...] = ()
    summary: Path | None = None
    collected: frozenset[str] | None = None


class Session:
    """One acceptance run: its deployment, its run folder and its verdicts so far."""

    def __init__(self, context: Context, run: RunDir, summary: Path | None = None) -> None:
        self.context = context
        self.run = run
        self._summary = summary
        self.new: dict[str, Verdict] = {}
        self.allowed: list[str] = []
        self.items: dict[str, Gate] = {}

    @classmethod
    def prepare(cls, given: Given) -> Session:
        """Read the deployment, choose the gates, open the run folder, see that the deployment is there.

        Raises `InputError`: what is wrong here is no verdict on the deployment.
        """
        gates = known()
        there = {gate_id: gate for gate_id, gate in gates.items() if gate_id in (given.collected or gates)}
        chosen = select(given.gates, there)
        existing = RunDir.open(given.run) if given.run else None
        for baseline in given.baseline:
            RunDir.open(baseline)
        deployment = cls._deployment(given, existing, [gates[gate_id] for gate_id in chosen])
        for waived in deployment.waive:
            # A6 is a gate; A6-no-check is a rule of the audit, which belongs to that gate.
            select(waived.partition("-")[0], gates, where=f"{deployment.path}: waive")
        level = deployment.consent.level
        may_break = level.allows(Consent.INVASIVE) and refusal(deployment, given.yes_break_it) is None
        context = Context(
            deployment, given.settings, may_break=may_break, run=existing, baseline=given.baseline
        )
        context.preflight([gate_id for gate_id in chosen if level.allows(gates[gate_id].consent)])
        run = existing or RunDir.create(deployment, runs=given.runs, name="verify")
        run.note_command()
        session = cls(context, run, given.summary)
        session.allowed = session.admit(chosen, given.yes_break_it)
        return session

    @staticmethod
    def _deployment(given: Given, run: RunDir | None, chosen: list[Gate]) -> Deployment:
        """The deployment that is meant; for gates that only judge what a run recorded, that run's copy."""
        if run and not given.deployment and all(set(gate.needs) <= set(RECORDINGS) for gate in chosen):
            return run.deployment()
        return netns.enter_client_netns(read_deployment(paths.deployment(given.deployment)))

    @property
    def deployment(self) -> Deployment:
        """The deployment under test."""
        return self.context.deployment

    def admit(self, chosen: dict[str, bool], yes_break_it: bool) -> list[str]:
        """The chosen gates that may run; the others get their verdict here.

        A gate needs the owner's consent, one that breaks parts of what is no lab `--yes-break-it`, one
        that reads files a deployment that names them, and one that judges a recorded load a run to judge.

        A gate named by its id that may not run is INCONCLUSIVE, for it was asked for; one that came
        with its group is NOT RUN.
        """
        level = self.deployment.consent.level
        recordings = [
            name
            for name, has in (("recorded load", self.context.run), ("baseline", self.context.baseline))
            if has
        ]
        for gate_id, named in chosen.items():
            gate = GATES[gate_id]
            why = None
            if missing := missing_recordings(gate, recordings):
                why = f"needs {missing}"
            elif missing := missing_files(self.deployment, gate):
                why = f"{self.deployment.path} names no {missing}"
            elif not level.allows(gate.consent):
                why = f"needs consent = {gate.consent.value!r}, [consent] gives {level.value!r}"
            elif gate.breaks:
                why = refusal(self.deployment, yes_break_it)
            if why is not None:
                outcome = Outcome.INCONCLUSIVE if named else Outcome.NOT_RUN
                self.keep(gate, Judgement(outcome=outcome, why=why))
        return [gate_id for gate_id in chosen if gate_id not in self.new]

    def announce(self) -> list[str]:
        """What the allowed gates are about to break and where; nothing where they break nothing."""
        planned = [
            each
            for gate_id in self.allowed
            for each in GATES[gate_id].planned(self.deployment, may_break=self.context.may_break)
        ]
        return announcement(self.deployment, dict.fromkeys(planned)) if planned else []

    def keep(
        self, gate: Gate, judgement: Judgement, evidence: Iterable[str] = (), waived: str | None = None
    ) -> Verdict:
        """Write a gate's verdict to verdicts.json."""
        verdict = Verdict(
            gate=gate.id,
            heading=gate.heading,
            guide=gate.guide,
            judgement=judgement,
            waived=self.deployment.waive.get(gate.id, waived),
            evidence=tuple(evidence),
        )
        self.new[gate.id] = verdict
        file = self.run.path / "verdicts.json"
        old = verdicts.read(file) if file.exists() else Verdicts()
        verdicts.write(old.merged(self.new.values()), file)
        return verdict

    def broken(self, gate: Gate, problem: Exception) -> Verdict:
        """The verdict of a gate whose experiment could not be carried out."""
        if isinstance(problem, EvidenceUnavailable):
            why = f"{problem.where}: {problem.why}"
        elif isinstance(problem, InputError):
            why = str(problem)
        else:
            why = f"the gate itself broke: {type(problem).__name__}: {' '.join(str(problem).split())}"
        return self.keep(gate, inconclusive(why))

    @property
    def refused(self) -> bool:
        """Whether a verdict stands against acceptance, those of gates that were not run aside."""
        return any(
            not v.acceptable and v.judgement.outcome is not Outcome.NOT_RUN for v in self.new.values()
        )

    def summary(self) -> Iterable[tuple[str, dict[str, bool]]]:
        """The verdicts for a terminal: line, and its style."""
        ordered = sorted(self.new.values(), key=lambda v: verdicts.gate_order(v.gate))
        for verdict in ordered:
            judgement = verdict.judgement
            waived = f" (waived: {verdict.waived})" if verdict.waived else ""
            yield (
                f"{judgement.outcome.value:<12} {verdict.gate:<4} {verdict.heading}{waived}",
                COLOURS[judgement.outcome],
            )
            yield f"{'':<17} {judgement.why}", {}
            for example in judgement.counter_examples:
                yield f"{'':<17} - {example}", {}
        yield "", {}
        counts = {o: sum(v.judgement.outcome is o for v in ordered) for o in Outcome}
        told = ", ".join(f"{n} {o.value}" for o, n in counts.items() if n)
        yield f"{told} of {len(ordered)} gates", {"bold": True}
        yield f"verdicts: {self.run.path / 'verdicts.json'}", {}

    def write_summary(self) -> None:
        """Write the verdicts as Markdown, where asked for, and to the summary of a job of a CI service."""
        text = markdown_summary.markdown(self.deployment.name, self.run.path, self.new.values())
        markdown_summary.write(text, self._summary)


class Prepared:
    """The pytest plugin by which `calorimeter verify` hands its session over, and tells how the gates go.

    pytest's own reporter says nothing then. `interrupted` is whether Ctrl-C ended the run.
    """

    __name__ = PREPARED

    def __init__(self, session: Session, progress: Progress) -> None:
        self.session = session
        self.interrupted = False
        self._progress = progress
        session.context.say = progress.phase

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """The verdicts are the report."""
        config.pluginmanager.unregister(name="terminalreporter")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember it: pytest's exit status is that of unusable input."""
        self.interrupted = isinstance(excinfo.value, KeyboardInterrupt)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A gate begins."""
        order = list(self.session.items)
        gate = self.session.items[nodeid]
        self._progress.begins(order.index(nodeid) + 1, len(order), gate.id, gate.heading)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A gate has its verdict; what broke around it is said."""
        if report.when == "teardown":
            gate = self.session.items[report.nodeid]
            kept = self.session.new.get(gate.id)
            self._progress.ended(gate.id, kept.judgement if kept else None)
        if report.when != "call" and report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self._progress.line(f"calorimeter: {crash.message if crash else report.longrepr}")


class Judge:
    """What a gate calls: `judge(evidence, check)`."""

    def __init__(self, session: Session, gate: Gate) -> None:
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
        """Keep `evidence` as `evidence/<name>.json`, judge it and keep the verdict.

        A check that crashes has not judged: INCONCLUSIVE. Fails the test unless the verdict is
        acceptable. `waived` is the owner's reason where all that the evidence shows is waived singly.
        """
        kept = self._session.run.save_evidence(name or self._gate.id, evidence)
        try:
            judgement = check(evidence)
        except Exception as problem:
            judgement = inconclusive(f"the check itself broke: {type(problem).__name__}: {problem}")
        verdict = self._session.keep(self._gate, judgement, [str(kept)], waived)
        if not verdict.acceptable:
            reason = f"{verdict.gate} {judgement.outcome.value}: {judgement.why}"
            pytest.fail("\n  ".join([reason, *judgement.counter_examples]), pytrace=False)
