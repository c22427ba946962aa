"""Gate D1 on the lab, and what its reader may and may not do there."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome
from calorimeter.gates.evidence.database_digests import DatabaseReader
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.gates import in_process

pytestmark = pytest.mark.lab


def test_d1_passes_on_heat_as_it_is(lab: Deployment, tmp_path: Path) -> None:
    """With the tag queries that PROMISES names: each stack more is a statement more."""
    found = in_process.verified(lab.path, "D1", tmp_path)["D1"].judgement
    assert found.outcome is Outcome.PASS, found.why
    few, many = (int(found.figures[f"statements_per_stack_list_{size}"] or 0) for size in ("few", "many"))
    assert many > few > 0


def test_the_account_may_read_counters_and_nothing_else(lab: Deployment) -> None:
    """No table of Heat, no change."""
    with DatabaseReader.of(lab) as reader:
        assert reader.read().digests
        for statement in (
            "SELECT id FROM heat.stack",
            "CREATE TABLE heat.x (a INT)",
            "TRUNCATE performance_schema.events_statements_summary_by_digest",
        ):
            with pytest.raises(EvidenceUnavailable):
                reader._rows(statement)
