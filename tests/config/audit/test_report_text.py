"""The audit's text for people: blocks, their order, their diffs and the counts."""

from __future__ import annotations

from calorimeter.config.audit import report_text
from calorimeter.config.audit.audit_report import AuditReport
from calorimeter.config.audit.model import Finding, Severity


def finding(host: str, diff: str = "", **other: object) -> Finding:
    """A finding at a heat.conf of a host; `other` replaces fields."""
    fields = {
        "rule": "A12-cfn-policy",
        "severity": Severity.WARNING,
        "file": f"{host}/heat.conf",
        "line": 1,
        "says": f"{host}: the new policies are enforced",
        "follows": "CFN refuses every request",
        "where": host,
        "diff": diff,
    }
    return Finding.model_validate({**fields, **other})


def shown(*findings: Finding) -> list[str]:
    """The lines of the text of a report with these findings."""
    files = tuple(dict.fromkeys(f.file for f in findings))
    report = AuditReport(files=files, proxy_files=True, heat_files=True, faults=findings)
    return report_text.text(report).splitlines()


def change(host: str, line: int = 7, value: str = "false") -> str:
    """A diff that adds one line to a host's file."""
    return (
        f"--- a/{host}/heat.conf\n+++ b/{host}/heat.conf\n@@ -{line} +{line},2 @@\n {host}\n+x = {value}\n"
    )


def test_findings_that_state_the_same_are_one_block() -> None:
    """Each place has a line; the sentence names every host; effect and remedy are there once."""
    lines = shown(finding("a"), finding("b"), finding("c", says="c: something else"))
    assert lines[:4] == [
        "a/heat.conf:1: warning A12-cfn-policy",
        "b/heat.conf:1: warning A12-cfn-policy",
        "  a, b: the new policies are enforced",
        "  Effect: CFN refuses every request.",
    ]
    assert lines.count("  Effect: CFN refuses every request.") == 2
    assert lines[-1] == "3 warnings (2 different findings) in 3 files."


def test_errors_are_first_and_waived_findings_last() -> None:
    """The order is error, warning, note, waived; a waived finding is in no block of others."""
    lines = shown(
        finding("a", waived="known"),
        finding("a", severity=Severity.NOTE, follows="n"),
        finding("b"),
        finding("c", severity=Severity.ERROR, follows="e"),
    )
    assert [line.partition(": ")[2] for line in lines if line[:1] in "abc" and line] == [
        "error A12-cfn-policy",
        "warning A12-cfn-policy",
        "note A12-cfn-policy",
        "warning A12-cfn-policy (waived: known)",
    ]
    assert lines[-1] == "1 error, 1 warning, 1 note, 1 waived in 3 files."


def test_the_same_change_in_several_files_is_shown_once() -> None:
    """Diffs with the same changed lines are shown once, wherever the lines are."""
    lines = shown(finding("a", change("a")), finding("b", change("b", 9)))
    assert "  The same change in 2 files; the first:" in lines
    assert lines.count("    +x = false") == 1
    assert "    --- a/a/heat.conf" in lines


def test_changes_that_differ_are_all_shown() -> None:
    """Another value is another diff; if some findings have no change, the files with it are named."""
    lines = shown(finding("a", change("a")), finding("b", change("b", value="true")))
    assert {"    +x = false", "    +x = true"} <= set(lines)
    lines = shown(finding("a", change("a")), finding("b", change("b")), finding("c"))
    assert "  The same change in a/heat.conf, b/heat.conf; the first:" in lines


def test_changes_of_one_file_are_all_shown() -> None:
    """Two sections of one file need a diff each, even if the added line is the same."""
    two = (finding("a", change("a")), finding("a", change("a", 20), line=12))
    assert shown(*two).count("    +x = false") == 2


def test_one_diff_of_several_findings_is_shown_once() -> None:
    """Findings in two files that are mended by one line of a third have one diff."""
    lines = shown(finding("a", change("p")), finding("b", change("p")))
    assert "  One change for 2 of the places above:" in lines
    assert lines.count("    +x = false") == 1


def test_diffs_of_several_files_are_counted_by_place() -> None:
    """Two findings, each with a diff of two files, are two places."""
    lines = shown(finding("a", change("a") + change("a2")), finding("b", change("b") + change("b2")))
    assert "  The same change for 2 places; the first:" in lines
    assert lines.count("    +x = false") == 2


def test_sentences_wrap_at_words_and_diffs_do_not() -> None:
    """Sentences have at most 100 columns; a long word and a line of a diff stay whole."""
    long = f"+{'y ' * 80}"
    lines = shown(finding("a", change("a") + long + "\n", says=f"a: {'word ' * 60}{'z' * 120}"))
    assert f"    {long}" in lines
    assert "z" * 120 in "".join(lines)
    assert all(len(line) <= 100 for line in lines if "zz" not in line and "y y" not in line)
