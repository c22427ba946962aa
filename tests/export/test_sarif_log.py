"""SARIF logs, compared with the schema that OASIS publishes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.config import audit
from calorimeter.config.audit import output
from calorimeter.config.audit.audit_report import AuditReport
from calorimeter.config.audit.model import Change, Finding, Severity
from calorimeter.core.verdict import Judgement, Outcome, Verdict
from calorimeter.export import sarif_log
from tests.config.audit.test_output import FAULTY
from tests.places import CLONE
from tests.report.recorded import gates

NOTHING = AuditReport(files=(), proxy_files=True, heat_files=True, faults=())


@cache
def schema() -> jsonschema.Draft7Validator:
    """The published schema."""
    tree = json.loads((CLONE / "tests/data/sarif/sarif-schema-2.1.0.json").read_text("utf-8"))
    return jsonschema.Draft7Validator(tree, format_checker=jsonschema.FormatChecker())


def valid(text: str) -> dict[str, Any]:
    """The log, which has to be valid."""
    log = json.loads(text)
    assert [problem.message for problem in schema().iter_errors(log)] == []
    return dict(log)


def results(*verdicts: Verdict) -> list[dict[str, Any]]:
    """The results of verdicts."""
    (run,) = valid(sarif_log.document(verdicts, "run", None))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [v.gate for v in verdicts]
    return list(run["results"])


def test_each_outcome_has_its_kind() -> None:
    """Only a FAIL has a level; INCONCLUSIVE is open; a waived one is suppressed, with the reason."""
    found = {result["ruleId"]: result for result in results(*gates())}
    assert {gate: (result["kind"], result["level"]) for gate, result in found.items()} == {
        **{"E2": ("pass", "none"), "H1": ("fail", "error"), "L1": ("open", "none")},
        **{"P3": ("notApplicable", "none"), "S1": ("pass", "none")},
    }
    assert [gate for gate, result in found.items() if "suppressions" in result] == ["H1"]
    assert found["H1"]["suppressions"] == [{"kind": "external", "justification": "known, ticket 17"}]
    assert found["H1"]["message"]["text"].splitlines() == [
        "FAIL: 2 of 4 servers are not checked.",
        "rest_api_proxy/rest-1: no check",
        "rest_api_proxy/rest-2: no check",
    ]
    assert found["H1"]["properties"] == {"outcome": "FAIL", "figures": {"unchecked": 2}}
    where = [result["locations"][0]["physicalLocation"]["artifactLocation"] for result in found.values()]
    assert where[0] == {"uri": "evidence/E2.json", "uriBaseId": "RUN"}
    assert where[1] == {"uri": "verdicts.json", "uriBaseId": "RUN"}


def test_the_findings_of_an_audit_are_a_run_of_their_own() -> None:
    """Rule, file and line, from the evidence as it is kept: without changes."""
    report = audit.audit(FAULTY)
    kept = AuditReport.model_validate_json(report.model_dump_json())
    first, second = valid(sarif_log.document(gates(), "run", kept))["runs"]
    assert first["tool"]["driver"]["name"] == "calorimeter verify"
    (result,) = second["results"]
    assert second["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "A6-no-check"
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "apis-proxy.conf"}, "region": {"startLine": 25}}
    assert "fixes" not in result


def test_a_foreign_audit_adds_neither_changes_nor_rules() -> None:
    """A folder that was sent may name a rule that there is not, and changes of files."""
    change = Change("/etc/passwd", 1, 1, ("x",))
    finding = Finding(
        rule="Z9-\u202e", severity=Severity.ERROR, file="/a b\n", line=-5, says="x", follows="y",
        changes=(change,),
    )  # fmt: skip
    report = NOTHING.model_copy(update={"faults": (finding,)})
    (result,) = valid(sarif_log.document(gates(), "run", report))["runs"][1]["results"]
    assert result["ruleId"] == "Z9-\u202e"
    assert not {"fixes", "ruleIndex"} & result.keys()
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "file:///a%20b%0A"}, "region": {"startLine": 1}}


@settings(max_examples=20)  # the schema is large
@given(
    st.text(), st.sampled_from(Outcome), st.none() | st.text(), st.none() | st.integers() | st.booleans()
)
def test_any_verdict_is_a_valid_result(
    text: str, outcome: Outcome, waived: str | None, figure: int | None
) -> None:
    """Whatever the texts of a verdict are: the log is valid, and ASCII."""
    judged = Judgement(outcome=outcome, why=text, figures={text: figure}, counter_examples=(text,))
    verdict = Verdict(
        gate="H1", heading=text, guide=text, judgement=judged, waived=waived, evidence=(text,)
    )
    assert sarif_log.document([verdict], "run", None).isascii()
    assert len(results(verdict)) == 1


@pytest.mark.parametrize("waived", [{}, {"A6-no-check": "known"}])
def test_the_log_of_an_audit_is_valid(waived: dict[str, str]) -> None:
    """`audit --format sarif`, with a fix or a suppression."""
    valid(output.sarif(audit.audit(FAULTY, waived)))


def test_the_schema_refuses() -> None:
    """The check has been red: a level that there is not, a result without a message."""
    log = json.loads(sarif_log.document(gates(), "run", None))
    log["runs"][0]["results"][0]["level"] = "fatal"
    del log["runs"][0]["results"][1]["message"]
    assert len(list(schema().iter_errors(log))) == 2
