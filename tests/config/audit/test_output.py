"""The output of an audit: text, JSON, SARIF, patches and verdicts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from calorimeter.config import audit
from calorimeter.config.audit import Inputs, judgement, output, report_text
from calorimeter.config.audit.model import Change
from calorimeter.config.audit.patches.edited_text import applied, diff
from calorimeter.core.secrecy.masking import MASK, mask
from calorimeter.core.verdict import Outcome
from tests.config.audit import clean
from tests.config.audit.clean import edited

FAULTY = edited("proxy", "default-server check inter", "default-server inter")


def test_text_has_finding_effect_remedy_and_diff() -> None:
    """The text of a finding has place, severity, id, effect, remedy, the quoted sentence and the diff."""
    text = report_text.text(audit.audit(FAULTY))
    assert text.startswith("apis-proxy.conf:25: error A6-no-check\n")
    assert "Effect: HAProxy considers a crashed API healthy" in text
    assert "«when not set, no health checking is performed" in text
    assert "+    default-server check inter 2s fall 3 rise 2 on-marked-down shutdown-sessions\n" in text
    assert text.endswith("1 error in 3 files.\n")
    assert report_text.text(audit.audit(clean.inputs())) == "Nothing found in 3 files.\n"


def test_json_has_a_version_and_every_finding() -> None:
    """The JSON has its version, the files, the counts and the findings."""
    tree = json.loads(output.as_json(audit.audit(FAULTY)))
    assert tree["schema_version"] == 1
    assert tree["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert [(f["id"], f["gate"], f["line"]) for f in tree["findings"]] == [("A6-no-check", "A6", 25)]


def test_sarif_has_rules_results_and_fixes() -> None:
    """The SARIF log has its rules; each result has its rule, level, place and fix."""
    log = json.loads(output.sarif(audit.audit(FAULTY)))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (result,) = run["results"]
    rules = run["tool"]["driver"]["rules"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "A6-no-check"
    assert result["level"] == "error"
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "apis-proxy.conf"}, "region": {"startLine": 25}}
    replacement = result["fixes"][0]["artifactChanges"][0]["replacements"][0]
    assert (
        replacement["insertedContent"]["text"]
        == "    default-server check inter 2s fall 3 rise 2 on-marked-down shutdown-sessions\n"
    )
    log = json.loads(output.sarif(audit.audit(FAULTY, {"A6-no-check": "known"})))
    (result,) = log["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "known"}]
    assert "fixes" not in result


def test_sarif_leaves_changes_with_passwords_out() -> None:
    """A change that would write a password has no fix in the SARIF log."""
    log = output.sarif(audit.audit(edited("c", "db-pw@10.0.0.1/heat", "db-pw@10.0.0.1/other")))
    assert "fixes" not in json.loads(log)["runs"][0]["results"][0]


def test_patch_applies_the_patch(tmp_path: Path) -> None:
    """The patch of all changes, applied by `patch -p1`, gives the corrected files."""
    corrected = audit.corrected(FAULTY)
    for name, text in FAULTY.texts.items():
        (tmp_path / name).write_text(text)
    try:
        subprocess.run(
            ["patch", "-p1"], cwd=tmp_path, input=audit.patch(FAULTY, corrected), text=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("needs the patch program")
    assert {name: (tmp_path / name).read_text() for name in FAULTY.texts} == corrected.texts


def test_changes_are_applied_at_their_lines() -> None:
    """Insertions and replacements are applied at their lines, in order."""
    changes = [
        Change("f", 2, 1, ("two",)),
        Change("f", 1, 0, ("zero",)),
        Change("f", 4, 0, ("[g]", "a = 1")),
        Change("f", 4, 0, ("[g]", "b = 2")),
        Change("f", 2, 1, ("lost: the line is already replaced",)),
        Change("f", 3, 1, ()),
    ]
    assert applied({"f": "1\n2\n3\n"}, changes) == {"f": "zero\n1\ntwo\n[g]\na = 1\nb = 2\n"}


def test_a_diff_of_a_file_without_a_final_newline() -> None:
    """The diff marks the missing newline, as diff does."""
    assert diff("f", "a", "b").endswith(
        "-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rabbit_password = x", f"rabbit_password = {MASK}"),
        ("+auth_encryption_key: x y", f"+auth_encryption_key: {MASK}"),
        ("transport_url = rabbit://u:p@h,v:q@i:5/", f"transport_url = rabbit://u:{MASK}@i:5/"),
        ("connection = mysql://u:p/@:w@h/db", f"connection = mysql://u:{MASK}@h/db"),
        ("    stats auth admin:x", f"    stats auth admin:{MASK}"),
        ("    user op insecure-password x", f"    user op insecure-password {MASK}"),
        ("auth_url = http://10.0.0.1:5000/v3", "auth_url = http://10.0.0.1:5000/v3"),
        ("bind_host = 10.0.0.1", "bind_host = 10.0.0.1"),
        ("    u:x@h:1,v:y@i:2/q", f"    u:{MASK}@h:1,v:{MASK}@i:2/q"),
        ("+   u:x,w@h:1/q", f"+   u:{MASK}@h:1/q"),
        (
            "#connection = mysql://h/heat?password=x&a=b",
            f"#connection = mysql://h/heat?password={MASK}&a=b",
        ),
        ("memcache_secret_key = x", f"memcache_secret_key = {MASK}"),
        ("ssl_key_password_file = /x", "ssl_key_password_file = /x"),
    ],
)
def test_passwords_are_masked(line: str, expected: str) -> None:
    """Passwords in lines are masked; other lines are unchanged."""
    assert mask(line) == expected


def test_gates_pass_fail_and_are_inconclusive() -> None:
    """A gate is PASS without errors and warnings, FAIL with one, INCONCLUSIVE without its files."""
    judged = {v.gate: v for v in judgement.verdicts(audit.audit(FAULTY))}
    assert judged["A6"].judgement.outcome is Outcome.FAIL
    assert "apis-proxy.conf:25: A6-no-check" in judged["A6"].judgement.counter_examples[0]
    assert judged["A1"].judgement.outcome is Outcome.PASS
    assert judged["A1"].guide == "Each API service must have a unique address to listen."
    only_proxy = Inputs(proxies=FAULTY.proxies)
    judged = {v.gate: v for v in judgement.verdicts(audit.audit(only_proxy))}
    assert judged["A4"].judgement.outcome is Outcome.INCONCLUSIVE
    assert list(judged) == [f"A{n}" for n in range(1, 13)]
