"""docs/reference/audit.md keeps in step with the rules."""

from __future__ import annotations

import pytest

from calorimeter.config.audit import Rule
from calorimeter.config.audit.rules.all_rules import RULES
from tests.places import DOCS

TEXT = (DOCS / "reference/audit.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_documented(rule: Rule) -> None:
    """Each rule has its heading with its severity, what to do, and the sentence it rests on."""
    _, found, rest = TEXT.partition(f"### `{rule.id}` ({rule.severity})\n")
    section = rest.partition("\n##")[0]
    assert found
    assert section.startswith(f"{rule.title}. ")
    assert f"Remedy: {rule.remedy}." in section
    assert f"> {rule.quote.text}\n>\n> {rule.quote.source}" in section


def test_no_rule_is_documented_that_is_not_there() -> None:
    """Headings of rules in the document are rules."""
    named = {line.split("`")[1] for line in TEXT.splitlines() if line.startswith("### `")}
    assert named == {rule.id for rule in RULES}
