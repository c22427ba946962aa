"""JUnit XML: a case for each gate, in the elements that every reader has in common."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import junitparser
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.verdict import Judgement, Outcome, Verdict
from calorimeter.export import junit_xml
from tests.report.recorded import gates

STARTED = "2026-01-02T03:04:05+00:00"
ALLOWED = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error", "skipped", "system-out"},
}
"""Element → what may be in it, in the schemas of Ant, Jenkins and pytest alike."""


def verdict(outcome: Outcome = Outcome.FAIL, text: str = "x", waived: str | None = None) -> Verdict:
    """A verdict whose texts are all the same."""
    judged = Judgement(outcome=outcome, why=text, figures={text: text}, counter_examples=(text,))
    return Verdict(gate="H1", heading=text, guide=text, judgement=judged, waived=waived, evidence=(text,))


def parsed(*verdicts: Verdict) -> Xml.Element:
    """The suite, as an XML parser reads it."""
    document = junit_xml.document(verdicts, "calorimeter run", STARTED, {"H1": 1.5})
    assert document.isascii()
    return Xml.fromstring(document)[0]


def test_each_outcome_has_its_element() -> None:
    """FAIL is a failure, INCONCLUSIVE an error, NOT RUN skipped; PASS has none of them."""
    for outcome, element in (
        (Outcome.FAIL, "failure"),
        (Outcome.INCONCLUSIVE, "error"),
        (Outcome.NOT_RUN, "skipped"),
        (Outcome.PASS, None),
    ):
        case = parsed(verdict(outcome, "It is so."))[0]
        assert [each.tag for each in case if each.tag != "system-out"] == ([element] if element else [])
        if element:
            assert case[0].attrib == {"message": f"{outcome}: It is so.", "type": str(outcome)}
            assert case[0].text == "It is so."


def test_a_waived_gate_is_skipped_and_says_why() -> None:
    """An acceptance run with it exits with 0; it is still shown as what it is."""
    case = parsed(verdict(Outcome.FAIL, "2 of 4.", waived="ticket 17"))[0]
    assert (case[0].tag, case[0].get("message")) == ("skipped", "FAIL, waived (ticket 17): 2 of 4.")
    assert "waived: ticket 17" in str(case.findtext("system-out"))
    assert [each.tag for each in parsed(verdict(Outcome.PASS, waived="ticket 17"))[0]] == ["system-out"]


def test_the_suite_counts_its_cases() -> None:
    """Counts, times and names are those of the verdicts."""
    suite = parsed(*gates())
    assert suite.attrib == {
        **{"name": "calorimeter run", "tests": "5", "failures": "0", "errors": "1", "skipped": "2"},
        **{"time": "1.500", "timestamp": STARTED},
    }
    assert suite[1].attrib == {
        **{"classname": "calorimeter.H", "name": "H1 Health checks really run", "time": "1.500"},
    }


@given(st.text())
def test_any_text_is_well_formed(text: str) -> None:
    """Control characters, half characters, markup: the document is read, and no text ends an element."""
    suite = parsed(*(verdict(outcome, text) for outcome in Outcome))
    for each in suite.iter():
        assert {child.tag for child in each} <= ALLOWED.get(each.tag, set())
    assert len(suite) == 4


def test_junitparser_reads_it() -> None:
    """A reader of others finds the same outcomes."""
    document = junit_xml.document(gates(), "calorimeter run", STARTED, {})
    (suite,) = junitparser.JUnitXml.fromstring(document.encode())
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 0, 1, 2)
    found = {case.name[:2]: [type(each).__name__ for each in case.result] for case in suite}
    assert found == {"E2": [], "H1": ["Skipped"], "L1": ["Error"], "P3": ["Skipped"], "S1": []}
