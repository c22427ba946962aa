"""What patches do to the field cases, and that no secret of theirs is shown."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from calorimeter.config.audit import Inputs, audit, corrected, output, patch, report_text
from calorimeter.config.audit.patches.safe_changes import audited
from tests.config.field.cases import NAMES, case

TOKEN = "qx7Zhunter2w9"
SERVER = re.compile(r"^\s*server\s+(\S+)\s+(\S+)", re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_patch_makes_no_new_finding_and_is_complete(name: str) -> None:
    """With all changes no rule finds more than before; correcting again changes nothing.

    Where a stats socket or the reader of a log is, only the owner knows.
    """
    inputs = case(name).inputs()
    after = case(name).corrected()
    before, left = (
        Counter(finding.rule for finding in audited(files).findings) for files in (inputs, after)
    )
    assert not left - before
    assert not any(finding.diff for finding in audit(after).faults)
    assert corrected(after) == after
    assert not re.search(r"^\+.*(?:stats socket|127\.0\.0\.1)", patch(inputs, after), re.MULTILINE)
    for file, text in inputs.texts.items():
        assert not Counter(SERVER.findall(text)) - Counter(SERVER.findall(after.texts[file]))


def added(name: str, **options: object) -> str:
    """The lines that the patch of a case adds."""
    inputs = case(name).inputs(**options)
    lines = patch(inputs, corrected(inputs)).splitlines()
    return "\n".join(line for line in lines if line.startswith("+") and not line.startswith("+++"))


def test_each_machine_keeps_its_hostname() -> None:
    """OpenStack-Ansible names each machine with `hostname`: no patch makes two names one."""
    assert "hostname" not in added("c04")


def test_servers_that_are_listed_by_name_are_not_added_by_address() -> None:
    """A server by name may be the process at an address: no patch lists it a second time."""
    assert "server" not in added("h07")


def test_servers_are_told_apart_where_names_are_resolved() -> None:
    """With the addresses of the names it is certain which servers are listed."""
    names = {f"ctl0{n}.localdomain": (f"10.0.0.1{n}",) for n in range(3)}
    assert "server" not in added("h07", addresses=names)


def test_each_log_format_is_in_its_section() -> None:
    """A section in mode http gets httplog and one in mode tcp gets tcplog; `defaults` gets neither."""
    inputs = case("h29").inputs()
    (text,) = corrected(inputs).texts.values()
    assert re.search(r"listen heat_api\n +option httplog\n", text)
    assert re.search(r"listen heat_cfn\n +option tcplog\n", text)
    assert len(re.findall("option (?:http|tcp)log", text)) == 2


def shown(inputs: Inputs) -> str:
    """Everything that the audit shows of files."""
    report = audit(inputs)
    texts = (
        report_text.text(report),
        output.as_json(report),
        output.sarif(report),
        report.model_dump_json(),
    )
    return "\n".join(texts)


@pytest.mark.parametrize("name", ["c04", "c05", "c09", "c13", "h07", "h09"])
def test_no_secret_of_a_case_is_shown(name: str) -> None:
    """Every password of the files is replaced by a token, on a second line too; no output has the token."""
    inputs = case(name).inputs()
    texts = {
        file: re.sub(
            r"(://[^:/@\s]*:)[^@\s,]+(?=@)|^(\w*(?:password|encryption_key)\s*=\s*)\S+",
            lambda match: f"{match[1] or match[2]}{TOKEN}",
            text,
            flags=re.MULTILINE,
        )
        for file, text in inputs.texts.items()
    }
    assert any(TOKEN in text for text in texts.values())
    assert TOKEN not in shown(inputs.with_texts(texts))
    broken = {
        file: text.replace("transport_url = rabbit://", "transport_url = rabbit://\n   ")
        for file, text in texts.items()
    }
    assert TOKEN not in shown(inputs.with_texts(broken))


def test_a_line_that_haproxy_cannot_read_may_be_the_missing_server() -> None:
    """A server is not proposed where one may be there already, behind a `;` that is no comment."""
    files = case("h07")
    before = files.inputs()
    name = next(name for name in before.texts if name.endswith("haproxy.cfg"))
    text = (
        before.texts[name]
        .replace("ctl00.localdomain", "10.0.0.10")
        .replace("ctl01.localdomain", "10.0.0.11")
    )
    whole = "  server ctl01 10.0.0.11:8004"
    assert whole in text
    for line, offered in (
        (";  server ctl01 10.0.0.11:8004", False),
        ("#  server ctl01 10.0.0.11:8004", True),
    ):
        inputs = before.with_texts({name: text.replace(whole, line)})
        found = [fault for fault in audit(inputs).faults if fault.rule == "A2-api-behind-no-server"]
        assert [bool(fault.diff) for fault in found] == [offered]
