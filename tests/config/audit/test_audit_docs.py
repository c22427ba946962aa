"""docs/reference/audit-proxy.md and audit-heat.md agree with the rules and the gates."""

from __future__ import annotations

import pytest

from calorimeter.config.audit import Rule
from calorimeter.config.audit.judgement import GATES
from calorimeter.config.audit.rules.all_rules import RULES
from tests.places import DOCS

TEXT = "".join(
    (DOCS / f"reference/audit-{files}.md").read_text(encoding="utf-8") for files in ("proxy", "heat")
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_documented(rule: Rule) -> None:
    """Each rule has a heading with its severity, its title, its remedy and its quoted sentence."""
    _, found, rest = TEXT.partition(f"### `{rule.id}` ({rule.severity})\n")
    section = rest.partition("\n##")[0]
    assert found
    assert section.startswith(f"{rule.title}. ")
    assert f"Remedy: {rule.remedy}." in section
    assert f"> {rule.quote.text}\n>\n> {rule.quote.source}" in section


def test_every_documented_rule_and_gate_exists() -> None:
    """The headings in the document are the rules and the gates."""
    named = {line.split("`")[1] for line in TEXT.splitlines() if line.startswith("### `")}
    assert named == {rule.id for rule in RULES}
    headings = [line.removeprefix("## ") for line in TEXT.splitlines() if line.startswith("## A")]
    assert sorted(headings) == sorted(f"{gate.id}: {gate.heading}" for gate in GATES)
