"""`calorimeter gates`: the list of all gates, and the page of one."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from calorimeter.commands.gates import gates
from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Outcome
from calorimeter.gates.registry import known
from calorimeter.lab.sabotage.engine_sabotage import ENGINE_SABOTAGES
from calorimeter.lab.sabotage.found_by import FOUND_BY, RED_IN_TESTS
from calorimeter.lab.sabotage.proxy_sabotage import SABOTAGES
from tests.gates.engines import test_sabotage_engines as of_engines
from tests.gates.health import test_sabotage_health as of_health
from tests.gates.proxy import test_sabotage_proxy as of_proxy
from tests.places import CLONE


def shown(*words: str, columns: int = 80) -> str:
    """What the command prints on a terminal of that width."""
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(gates, words, standalone_mode=False)
    assert done.exception is None, done.exception
    return done.output


@pytest.mark.parametrize("columns", [80, 200])
def test_list_fits_the_terminal_and_has_everything(columns: int) -> None:
    """Every gate with heading, sentence, consent, needs and file, at 80 columns and on a wide terminal."""
    text = shown(columns=columns)
    assert max(map(len, text.splitlines())) <= columns
    words = " ".join(text.split())
    for gate in known().values():
        assert f"{gate.id} " in words
    for word in ("balance source", "invasive", "proxy log", "verify/test_affinity.py:"):
        assert word in words
    if columns == 80:
        for gate in known().values():
            assert " ".join(f"{gate.id} {gate.heading} guide {gate.guide}".split()) in words


def test_one_gate_has_its_code_its_sabotages_and_its_docs() -> None:
    """Everything about a gate is on one page."""
    text = shown("h2")
    for part in (
        "H2  A crashed API is detected within its bound",
        "consent     invasive",
        "kill (first rest, first cfn)",
        "test_crash_is_detected_in_time (verify/test_health.py:",
        "experiment  calorimeter.gates.health.",
        ".detected_in_time",
        "record      calorimeter.gates.health.",
        "evidence/H2.json",
        "unchecked, fall-100, any-path",
        "docs: docs/reference/gates-health.md#h2",
        "### H2",
    ):
        assert part in text


@pytest.mark.parametrize("gate_id", known())
def test_every_gate_can_be_shown(gate_id: str) -> None:
    """As text and as JSON."""
    assert shown(gate_id).startswith(f"{gate_id}  ")
    tree = json.loads(shown(gate_id, "--json"))
    assert tree["id"] == gate_id
    assert tree["experiment"] and tree["check"] and tree["record"] and tree["docs"]


def test_list_as_json() -> None:
    """One object for each gate, in order."""
    assert [tree["id"] for tree in json.loads(shown("--json"))] == list(known())


def test_unknown_gate_is_one_line_with_the_nearest_id() -> None:
    """Exit status 2, as for all unusable input."""
    done = CliRunner().invoke(gates, ["H22"], standalone_mode=False)
    assert isinstance(done.exception, InputError)
    assert str(done.exception).startswith("gates: unknown gate 'H22'; valid: A1, ")
    assert str(done.exception).endswith("did you mean 'H2'?")


def test_sabotages_are_those_that_the_tests_on_the_lab_prove() -> None:
    """The table of sabotages is compared with what those tests assert, and with the sabotages there are."""
    assert set(FOUND_BY) == {*SABOTAGES, *ENGINE_SABOTAGES}
    proven = {name: case.red_of_all for name, case in of_proxy.CASES.items()}
    proven |= {name: set(case.red.split()) for name, case in of_engines.CASES.items()}
    for case in of_health.CASES.values():
        if case.sabotage:
            red = {gate for gate, outcome in case.outcomes.items() if outcome == Outcome.FAIL}
            proven.setdefault(case.sabotage, set()).update(red)
    found = {name: {gate for gate in gates if gate[0] != "A"} for name, gates in FOUND_BY.items()}
    assert found == proven  # tests/lab/test_sabotaged_files.py proves gates A


@pytest.mark.parametrize(("gate", "test"), RED_IN_TESTS.items())
def test_what_turns_a_gate_red_otherwise_is_a_test_on_the_lab(gate: str, test: str) -> None:
    """The test exists, and its file names the gate."""
    file, _, name = test.partition("::")
    text = (CLONE / file).read_text(encoding="utf-8")
    assert f"def {name}(" in text
    assert gate in text
