"""Verdicts as JUnit XML: one suite, a case for each gate.

There is no standard for it. The elements and attributes here are those that every reader has in common: a
case holds at most one of `failure`, `error` and `skipped`, and then `system-out`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree as Xml

from calorimeter.core.shown_text import one_line, plain
from calorimeter.core.verdict import Outcome, Verdict

ELEMENTS = {Outcome.FAIL: "failure", Outcome.INCONCLUSIVE: "error", Outcome.NOT_RUN: "skipped"}
"""Outcome → the element that says it. A waived one is `skipped`: `verify` exits with 0 despite it."""

_NO_CHARACTER = re.compile("[\ufffe\uffff]")
"""What XML 1.0 has no form for, besides what `plain` shows already."""


def document(verdicts: Sequence[Verdict], name: str, started: str, took_s: Mapping[str, float]) -> str:
    """The document. `name` is that of the suite, `started` an ISO 8601 time, `took_s` seconds by gate."""
    elements = [element(verdict) for verdict in verdicts]
    total = sum(took_s.get(verdict.gate, 0.0) for verdict in verdicts)
    counts = {
        "tests": str(len(verdicts)),
        "failures": str(elements.count("failure")),
        "errors": str(elements.count("error")),
        "skipped": str(elements.count("skipped")),
        "time": f"{total:.3f}",
    }
    suites = Xml.Element("testsuites", counts)
    suite = Xml.SubElement(
        suites, "testsuite", {"name": _line(name), **counts, "timestamp": _line(started)}
    )
    for verdict in verdicts:
        _add(suite, verdict, took_s.get(verdict.gate, 0.0))
    Xml.indent(suites)
    text = Xml.tostring(suites, encoding="us-ascii", xml_declaration=True).decode("ascii")
    return f"{text}\n"


def element(verdict: Verdict) -> str | None:
    """The element that says a verdict's outcome; None for a gate that passed."""
    if verdict.judgement.outcome is Outcome.PASS:
        return None
    return "skipped" if verdict.waived is not None else ELEMENTS[verdict.judgement.outcome]


def _add(suite: Xml.Element, verdict: Verdict, took_s: float) -> None:
    subject = verdict.gate.rstrip("0123456789") or "gate"
    case = Xml.SubElement(
        suite,
        "testcase",
        {
            "classname": _line(f"calorimeter.{subject}"),
            "name": _line(f"{verdict.gate} {verdict.heading}"),
            "time": f"{took_s:.3f}",
        },
    )
    judged = verdict.judgement
    if outcome := element(verdict):
        waived = f", waived ({verdict.waived})" if verdict.waived is not None else ""
        message = _line(f"{judged.outcome}{waived}: {judged.why}")
        found = Xml.SubElement(case, outcome, {"message": message, "type": str(judged.outcome)})
        found.text = "\n".join(map(_line, judged.counter_examples)) or None
    Xml.SubElement(case, "system-out").text = "\n".join(map(_line, _told(verdict)))


def _told(verdict: Verdict) -> Iterator[str]:
    yield f"{verdict.judgement.outcome}: {verdict.judgement.why}"
    if verdict.waived is not None:
        yield f"waived: {verdict.waived}"
    if verdict.guide:
        yield f"guide: {verdict.guide}"
    for name, value in verdict.judgement.figures.items():
        yield f"{name} = {value}"
    for path in verdict.evidence:
        yield f"evidence: {path}"


def _line(text: str) -> str:
    return _NO_CHARACTER.sub(lambda found: f"\\u{ord(found[0]):04x}", plain(one_line(text)))
