"""Options, fixtures and hooks of the gates in pytest; `calorimeter.pytest_plugin` switches them on."""

from __future__ import annotations

import sys
from collections.abc import Collection, Container, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.judge import PREPARED, Given, Judge, Prepared, Session
from calorimeter.gates.registry import GATES, Gate

SESSION = pytest.StashKey[Session]()
UNUSABLE = 2
"""Exit status where the input or the set-up cannot be used."""


PREFIX = "calorimeter_"
"""Prefix of the options in `config.option`: other plugins and suites have options of the same name."""


def add_options(parser: pytest.Parser, taken: Container[str]) -> None:
    """Add the options of the gates; one whose name is in `taken` becomes `--calorimeter-NAME`."""
    group = parser.getgroup("calorimeter", "Calorimeter: gates on a scaled-out Heat")

    def add(name: str, **attributes: Any) -> None:
        free = f"--calorimeter-{name}" if f"--{name}" in taken else f"--{name}"
        group.addoption(free, dest=PREFIX + name.replace("-", "_"), **attributes)

    add("deployment", metavar="FILE", help="deployment.toml (default: the lab's)")
    add("gates", metavar="IDS", help="gates or groups, as in S1,H1,E (default: all)")
    add("run", metavar="RUN", help="add the verdicts to this run folder")
    add(
        "runs",
        metavar="DIR",
        default="runs",
        help="folder in which a new run folder is made (default: runs)",
    )
    add("baseline", metavar="RUN", action="append", default=[],
        help="earlier run to compare --run with (gate T2); may be given again")  # fmt: skip
    add("summary", metavar="FILE", help="file for the verdicts as Markdown")
    add(
        "yes-break-it",
        action="store_true",
        help="also allow fault injection on a deployment that is not a lab",
    )
    for name, setting in Settings.options().items():
        add(name.removeprefix("--"), type=setting.type, default=setting.default, help=setting.help)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the chosen gates, and all tests that are no gates; unusable input ends the run with status 2."""
    gates = {mark.args[0].id: item for item in items if (mark := item.get_closest_marker("gate"))}
    if not gates or config.option.collectonly:
        return
    # `calorimeter verify` has prepared its session, so that it can say what is wrong by itself.
    prepared: Prepared | None = config.pluginmanager.get_plugin(PREPARED)
    try:
        session = prepared.session if prepared else Session.prepare(_given(config, gates))
    except InputError as problem:
        print(f"calorimeter: {problem}", file=sys.stderr, flush=True)
        # One line is the whole report: pytest would frame it.
        config.pluginmanager.unregister(name="terminalreporter")
        pytest.exit("unusable input", returncode=UNUSABLE)
    config.stash[SESSION] = session
    chosen = {item.nodeid: GATES[gate_id] for gate_id, item in gates.items() if gate_id in session.allowed}
    session.items = chosen
    items[:] = [item for item in items if item.nodeid in chosen or not item.get_closest_marker("gate")]
    for item in items:
        if item.nodeid in chosen:
            item.add_marker(pytest.mark.filterwarnings("default"))


def _given(config: pytest.Config, collected: Collection[str]) -> Given:
    def option(name: str) -> Any:
        return getattr(config.option, PREFIX + name)

    return Given(
        deployment=option("deployment"),
        gates=option("gates"),
        run=Path(option("run")) if option("run") else None,
        runs=Path(option("runs")),
        settings=Settings(**{name: option(name) for name in Settings.names()}),
        yes_break_it=option("yes_break_it"),
        baseline=tuple(map(Path, option("baseline"))),
        summary=Path(option("summary")) if option("summary") else None,
        collected=frozenset(collected),
    )


@pytest.fixture(scope="session")
def calorimeter_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """The verdicts so far, and what they are judged from."""
    opened = request.config.stash[SESSION]
    if not request.config.pluginmanager.has_plugin(PREPARED):  # which has said it by itself
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            for line in opened.announce():
                print(line, file=sys.stderr, flush=True)
    with opened.context:
        yield opened


@pytest.fixture
def context(calorimeter_session: Session) -> Context:
    """The deployment under test and its evidence readers."""
    return calorimeter_session.context


@pytest.fixture
def deployment(calorimeter_session: Session) -> Deployment:
    """The deployment under test."""
    return calorimeter_session.deployment


@pytest.fixture
def judge(calorimeter_session: Session, request: pytest.FixtureRequest) -> Judge:
    """Judge evidence with a check, keep both, and fail the test unless the verdict is acceptable."""
    mark = request.node.get_closest_marker("gate")
    gate: Gate = mark.args[0]
    return Judge(calorimeter_session, gate)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """What a gate could not see, or broke on, is INCONCLUSIVE."""
    mark = pyfuncitem.get_closest_marker("gate")
    if mark is None or SESSION not in pyfuncitem.config.stash:
        return (yield)
    session = pyfuncitem.config.stash[SESSION]
    verdict = None
    try:
        return (yield)
    except pytest.fail.Exception:
        raise
    except Exception as problem:
        # Unusable input was refused before the first gate; what cannot be used now broke under way.
        verdict = session.broken(mark.args[0], problem)
    if not verdict.acceptable:
        pytest.fail(f"{verdict.gate} {verdict.judgement.outcome}: {verdict.judgement.why}", pytrace=False)


def pytest_report_teststatus(
    report: pytest.TestReport, config: pytest.Config
) -> tuple[str, str, str] | None:
    """No dots for gates: the verdicts are the report."""
    if SESSION in config.stash and report.when == "call" and report.nodeid in config.stash[SESSION].items:
        return report.outcome, "", ""
    return None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A gate that was asked for and could not run counts, and nothing judged is not a success."""
    opened = session.config.stash.get(SESSION, None)
    none = pytest.ExitCode.NO_TESTS_COLLECTED
    if opened is None or session.exitstatus not in (pytest.ExitCode.OK, none):
        return
    if opened.refused:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    elif session.exitstatus == none:
        session.exitstatus = UNUSABLE


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print the verdicts and where they are."""
    if SESSION in config.stash:
        for line, style in config.stash[SESSION].summary():
            terminalreporter.write_line(line, **style)
        config.stash[SESSION].write_summary()
