"""Options, fixtures and hooks of the gates in pytest; `calorimeter.pytest_plugin` registers them."""

from __future__ import annotations

import sys
from collections.abc import Container, Generator, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from calorimeter.core.deployment import Deployment
from calorimeter.core.deployment import read as read_deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import gate_times
from calorimeter.core.shown_text import plain
from calorimeter.gates import repeat_command
from calorimeter.gates.context import Context
from calorimeter.gates.judge import PREPARED, AcceptanceRun, Judge, Prepared
from calorimeter.gates.marker import MARKER
from calorimeter.gates.registry import Gate
from calorimeter.gates.verify_options import OPTIONS, Given, Option

SESSION = pytest.StashKey[AcceptanceRun]()

UNUSABLE = 2
"""Exit status if the input or the set-up cannot be used."""

PREFIX = "calorimeter_"
"""Prefix of the options in `config.option`: other plugins and suites have options of the same name."""

DEPLOYMENT = Option("deployment.toml (default: as for `calorimeter verify`).", "FILE")

MARKUP = {"bold": "bold", "dim": "light"}
"""Keyword of click.style → pytest's keyword for it; a colour (`fg`) is a keyword of its own."""

RENAMED: dict[str, str] = {}
"""Option of the gates → its name in this test suite, if another plugin or conftest.py has that name."""


def add_options(parser: pytest.Parser, taken: Container[str]) -> None:
    """Add the options of the gates; one whose name is in `taken` becomes `--calorimeter-NAME`."""
    group = parser.getgroup("calorimeter", "Calorimeter: gates on a scaled-out Heat")
    RENAMED.clear()
    for name, option in {"deployment": DEPLOYMENT, **OPTIONS}.items():
        flag = f"--{name.replace('_', '-')}"
        if flag in taken:
            RENAMED[flag] = f"--calorimeter-{flag.removeprefix('--')}"
        attributes = {key: value for key, value in asdict(option).items() if value is not None}
        if option.action == "append":
            attributes["default"] = []
        group.addoption(RENAMED.get(flag, flag), dest=PREFIX + name, **attributes)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """End the run before pytest's header if the deployment file or an option of xdist cannot be used."""
    config = session.config
    if config.option.collectonly or config.pluginmanager.has_plugin(PREPARED):
        return
    try:
        if getattr(config.option, "dist", "no") != "no":
            raise InputError("-n", "given with gates, which share one deployment", "valid: without -n")
        if named := getattr(config.option, f"{PREFIX}deployment"):
            read_deployment(Path(named))
    except InputError as problem:
        # pytest prints the reason; its reporter would print it once more, framed.
        config.pluginmanager.unregister(name="terminalreporter")
        pytest.exit(plain(f"calorimeter: {problem}"), returncode=UNUSABLE)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the selected gates and all other tests; unusable input ends the run with status 2."""
    gates = [(gate, item) for item in items if (gate := _gate(item))]
    wanted = getattr(config.option, f"{PREFIX}gates", None)  # `calorimeter verify` adds no options
    if config.option.collectonly or not (gates or wanted):
        return
    # `calorimeter verify` has prepared its session, and reported what was wrong.
    prepared: Prepared | None = config.pluginmanager.get_plugin(PREPARED)
    try:
        session = prepared.session if prepared else AcceptanceRun.prepare(_given(config, gates))
    except InputError as problem:
        print(plain(f"calorimeter: {problem}"), file=sys.stderr, flush=True)
        # This line is the whole report; pytest would frame it.
        config.pluginmanager.unregister(name="terminalreporter")
        pytest.exit("unusable input", returncode=UNUSABLE)
    config.stash[SESSION] = session
    session.items = {item.nodeid: gate for gate, item in gates if gate.id in session.allowed}
    items[:] = [item for item in items if item.nodeid in session.items or not _gate(item)]
    for item in items:
        if item.nodeid in session.items:
            item.add_marker(pytest.mark.filterwarnings("default"))
    if not prepared:
        tests = {gate.id: item for gate, item in gates}
        renamed = dict(RENAMED)

        def command(gate_id: str) -> str:
            item = tests[gate_id]
            name = item.nodeid.partition("::")[2]  # with its class, which `item.name` lacks
            return repeat_command.pytest(session.given, session.named, gate_id, item.path, name, renamed)

        session.repeat = command


def _gate(item: pytest.Item) -> Gate | None:
    """The gate that a test declares; None for any other test."""
    mark = item.get_closest_marker(MARKER)
    return mark.args[0] if mark else None


def _given(config: pytest.Config, gates: Iterable[tuple[Gate, pytest.Item]]) -> Given:
    """The options, and the gates that were collected. Raises InputError if there is none, or one twice."""
    collected: dict[str, str] = {}
    for gate, item in gates:
        if gate.id in collected:
            raise InputError(item.nodeid, f"is gate {gate.id}, and so is {collected[gate.id]}")
        collected[gate.id] = item.nodeid
    values = {name: getattr(config.option, PREFIX + name) for name in OPTIONS}
    if not collected:
        raise InputError(
            "--gates", f"{values['gates']!r} given, but no gate was collected", "valid: a path to gates"
        )
    return Given.of(getattr(config.option, f"{PREFIX}deployment"), values, frozenset(collected))


@pytest.fixture(scope="session")
def calorimeter_session(request: pytest.FixtureRequest) -> Iterator[AcceptanceRun]:
    """The acceptance run: the verdicts so far, and what they are judged from."""
    session = request.config.stash[SESSION]
    if not request.config.pluginmanager.has_plugin(PREPARED):  # its owner has printed the announcement
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            for line in session.announce():
                print(plain(line), file=sys.stderr, flush=True)
    with session.context:
        yield session


@pytest.fixture
def context(calorimeter_session: AcceptanceRun) -> Context:
    """The deployment under test and its evidence readers."""
    return calorimeter_session.context


@pytest.fixture
def deployment(calorimeter_session: AcceptanceRun) -> Deployment:
    """The deployment under test."""
    return calorimeter_session.deployment


@pytest.fixture
def judge(calorimeter_session: AcceptanceRun, request: pytest.FixtureRequest) -> Judge:
    """Judge evidence with a check, keep both, and fail the test unless the verdict is acceptable."""
    gate = _gate(request.node)
    if gate is None:
        pytest.fail("the fixture `judge` is for gates: decorate the test with calorimeter's @gate(…)")
    return Judge(calorimeter_session, gate)


def _session(item: pytest.Item) -> AcceptanceRun | None:
    """The acceptance run that a test is a gate of; None for any other test."""
    session = item.config.stash.get(SESSION, None)
    return session if session and item.nodeid in session.items else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note when each gate begins and ends."""
    session = _session(item)
    if session is None:
        return (yield)
    gate = session.items[item.nodeid]
    session.context.time_line.begins(gate.id)
    session.prepare_for(gate)
    try:
        return (yield)
    finally:
        session.context.time_line.ended()
        gate_times.write(session.times, session.run.path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep INCONCLUSIVE for a gate that raises, is skipped or judges nothing, and fail its test."""
    report = yield
    session = _session(item)
    gate = session.items[item.nodeid] if session else None
    problem = call.excinfo.value if call.excinfo else None
    if session is None or gate is None or call.when == "teardown" or (call.when == "setup" and not problem):
        return report
    judged = (pytest.fail.Exception, pytest.skip.Exception)
    if gate.id in session.new and (problem is None or isinstance(problem, judged)):
        return report
    # InputError, too: unusable input was refused before the first gate; this broke during the run.
    verdict = session.broken(gate, problem)
    if not verdict.acceptable:
        report.outcome = "failed"
        report.longrepr = plain(f"{verdict.gate} {verdict.judgement.outcome}: {verdict.judgement.why}")
    elif call.when == "call":
        report.outcome, report.longrepr = "passed", None
    return report


def pytest_report_teststatus(
    report: pytest.TestReport, config: pytest.Config
) -> tuple[str, str, str] | None:
    """Print no dots for gates: the verdicts are the report."""
    if SESSION in config.stash and report.when == "call" and report.nodeid in config.stash[SESSION].items:
        return report.outcome, "", ""
    return None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the summary and set the exit status.

    1 if a gate that was named could not run; 2 if nothing was judged, or the summary cannot be written.
    """
    opened = session.config.stash.get(SESSION, None)
    if opened is None:
        return
    none = pytest.ExitCode.NO_TESTS_COLLECTED
    if session.exitstatus in (pytest.ExitCode.OK, none):
        if opened.refused:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif session.exitstatus == none or (opened.given.gates and not opened.new):
            session.exitstatus = UNUSABLE
    if opened.new and not session.config.pluginmanager.has_plugin(PREPARED):
        try:
            opened.write_summary()
        except InputError as problem:
            print(plain(f"\ncalorimeter: {problem}"), file=sys.stderr, flush=True)
            session.exitstatus = UNUSABLE


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print the verdicts, and where they are."""
    if SESSION in config.stash and config.stash[SESSION].new:
        for line, style in config.stash[SESSION].summary():
            terminalreporter.write_line(
                plain(line), **{MARKUP.get(key, str(style[key])): True for key in style}
            )
