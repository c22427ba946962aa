"""Where the code of a gate is, as its test function names it."""

from __future__ import annotations

import pytest

from calorimeter.gates.gate_source import source
from calorimeter.gates.registry import known
from tests.places import CLONE


@pytest.mark.parametrize("gate_id", known())
def test_every_gate_has_an_experiment_a_record_and_a_check(gate_id: str) -> None:
    """Each place is a file of the clone, and its line begins the definition."""
    found = source(known()[gate_id])
    assert found.experiment and found.record and found.check and found.evidence
    assert all((CLONE / f"calorimeter/{name.replace('.', '/')}.py").is_file() for name in found.readers)
    assert found.readers
    for each in (found.function, found.experiment, found.record, found.check):
        line = (CLONE / each.file).read_text(encoding="utf-8").splitlines()[each.line - 1]
        assert line.lstrip().startswith(("def ", "class ", "@")), each


def test_names_are_those_that_the_gate_calls() -> None:
    """The function behind an attribute of a module, and behind the decorator of shared evidence."""
    found = source(known()["S1"])
    assert found.function.file == "verify/test_affinity.py"
    assert str(found.experiment).startswith("calorimeter.gates.clients.visit_rounds.")
    assert str(found.check).startswith("calorimeter.gates.affinity.stability.")
    assert str(found.record).startswith("calorimeter.gates.clients.visits.")
    assert found.evidence == "visits-rest.json"
    assert "gates.evidence.proxy_log" in found.readers
    assert "gates.evidence.proxy_stats" in source(known()["H2"]).readers
    assert source(known()["A1"]).readers == ("config.named_files",)
    assert source(known()["T1"]).readers == ("core.recorded.sample_stream",)
    assert source(known()["A1"]).evidence == "audit.json"
    assert source(known()["H2"]).evidence == "H2.json"
