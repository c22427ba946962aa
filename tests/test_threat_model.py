"""Each sentence of the threat model names the tests that hold it."""

from __future__ import annotations

import re

from tests.places import CLONE, DOCS

PAGE = DOCS / "explanation" / "threat-model.md"
TEST = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


def sentences() -> list[str]:
    """The items of the lists below `What is not trusted`, each with its tests."""
    text = PAGE.read_text("utf-8").partition("\n## What is not trusted\n")[2]
    items = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
    return [" ".join(item.partition("\n\n")[0].split()) for item in items]


def test_every_sentence_names_a_test_that_exists() -> None:
    """A sentence without a test, or with a test that is gone, is a claim that nobody checks."""
    missing = [sentence for sentence in sentences() if not TEST.search(sentence)]
    gone = [
        (name, path)
        for sentence in sentences()
        for name, path in TEST.findall(sentence)
        if f"def {name}("
        not in (CLONE / (PAGE.parent / path).resolve().relative_to(CLONE)).read_text("utf-8")
    ]
    assert len(sentences()) > 20
    assert (missing, gone) == ([], [])
