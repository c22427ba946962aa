"""The guide's own sample files: the audit finds exactly their known faults, and few when corrected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from calorimeter.config import audit
from calorimeter.config.audit import HeatFiles, Inputs
from calorimeter.config.haproxy import program
from tests.config.audit.clean import SAID
from tests.places import GUIDE

PROXY_FAULTS = {
    ("A5-mode-unsaid", "defaults"),
    ("A6-check-shallow", "option  httpchk"),
    ("A6-no-check", "option  httpchk"),
    ("A7-redispatch-map-based", "balance  source"),
    ("A8-maxconn-order", "maxconn  8000"),
    ("A8-timeout-races-rpc", "timeout  client 1m"),
    ("A8-timeout-races-rpc", "timeout  server 1m"),
    ("A8-timeout-without-effect", "timeout  http-request 10s"),
    ("A8-timeout-without-effect", "timeout  queue 1m"),
    ("A9-log-nowhere", "log  global"),
    ("A9-log-without-server", "log  global"),
    ("A9-no-stats", "global"),
}
HEAT_FAULTS = {
    ("A10-broker-option-gone", "rabbit_userid = stackrabbit"),
    ("A10-database-option-gone", "sql_connection = mysql+pymysql://root:admin@10.0.0.1/heat?charset=utf8"),
    ("A11-workers-unsaid", "[DEFAULT]"),
    ("A12-cfn-policy", "[DEFAULT]"),
    ("A12-cfn-trusts", "[DEFAULT]"),
    ("A12-ec2-credentials", "[ec2authtoken]"),
}
OWNER_DECIDES = {"A11-workers-unsaid", "A12-cfn-policy", "A12-cfn-trusts"}
OWNER_KNOWS = {"A9-log-nowhere", "A9-log-without-server", "A9-no-stats"}
"""Where the log is read (a format needs one), and the path of a stats socket."""


def guide(*hosts: str) -> Inputs:
    """The guide's proxy file and the heat.conf of some of its machines."""

    def file(name: str) -> tuple[tuple[str, str], ...]:
        return ((name, (GUIDE / name).read_text(encoding="utf-8")),)

    return Inputs(
        proxies=(("proxy", file("apis-proxy.conf")),),
        heat=tuple(HeatFiles(host, file(f"heat-{host.lower()}.conf")) for host in hosts),
        **SAID,
    )


def found(inputs: Inputs, pattern: str) -> set[tuple[str, str]]:
    """(rule, text of its line) of the findings in the files that match a pattern."""
    texts = inputs.texts
    findings = audit.audit(inputs).faults
    return {
        (finding.rule, texts[finding.file].splitlines()[finding.line - 1].strip())
        for finding in findings
        if re.search(pattern, finding.file)
    }


def test_exactly_the_known_faults_of_the_proxy_file() -> None:
    """In the guide's apis-proxy.conf the audit finds exactly the faults that gates show at run time."""
    assert found(guide("B", "C"), "apis-proxy") == PROXY_FAULTS


@pytest.mark.parametrize("host", ["b", "c"])
def test_exactly_the_known_faults_of_the_heat_files(host: str) -> None:
    """In the heat.conf of B and C it finds old option names and missing settings for today's CFN API."""
    assert found(guide("B", "C"), f"heat-{host}") == HEAT_FAULTS


def test_the_original_file_of_machine_a() -> None:
    """A's own file still has the addresses of the proxy, and localhost is correct on A."""
    faults = found(guide("A", "B", "C"), "heat-a")
    assert {rule for rule, _ in faults} - {rule for rule, _ in HEAT_FAULTS} == {"A1-address-of-proxy"}


def test_an_unchanged_copy_of_the_file_of_a() -> None:
    """B with A's file and its own addresses uses its own loopback address for database and broker."""
    inputs = guide("B", "C")
    text = (GUIDE / "heat-a.conf").read_text(encoding="utf-8").replace("bind_host = 10.0.0.1", "")
    assert {"A3-loopback-broker", "A3-loopback-service"} <= {
        rule
        for rule, _ in found(inputs.with_texts({"heat-b.conf": f"{text}bind_host = 10.0.0.2\n"}), "heat-b")
    }


def test_the_corrected_files_are_clean() -> None:
    """The proposed changes leave what the owner decides or knows; the addresses are still the guide's."""
    corrected = audit.corrected(guide("B", "C"))
    assert {finding.rule for finding in audit.audit(corrected).faults} == OWNER_DECIDES | OWNER_KNOWS
    proxy = corrected.texts["apis-proxy.conf"]
    assert "server rest-server-1 10.0.0.2:8004\n" in proxy
    assert audit.corrected(corrected) == corrected


def test_the_proxy_file_is_the_guides() -> None:
    """The proxy file of the test is the guide's, line by line."""

    def lines(name: str) -> list[str]:
        text = (GUIDE / name).read_text(encoding="utf-8")
        return [" ".join(line.split()) for line in text.splitlines()]

    guide_lines = lines("scaling-a-deployment.rst")
    sample = guide_lines[guide_lines.index("Setting Up HAProxy") :]
    start = sample.index("global")
    ours = lines("apis-proxy.conf")
    assert ours[ours.index("global") :] == sample[start:]


@pytest.mark.skipif(program.messages([]) is None, reason="needs the haproxy program")
def test_haproxy_accepts_the_corrected_file(tmp_path: Path) -> None:
    """`haproxy -c` has no messages about the corrected file, nor about the guide's."""
    for inputs in (guide("B", "C"), audit.corrected(guide("B", "C"))):
        file = tmp_path / "apis-proxy.conf"
        file.write_text(inputs.texts["apis-proxy.conf"])
        assert program.messages([file]) == ()
