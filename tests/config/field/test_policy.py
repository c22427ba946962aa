"""Stock files of deployers are judged by what their owner says, and checks by what Heat answers."""

from __future__ import annotations

import pytest

from calorimeter.config.audit import Finding, Inputs, Severity, audit, corrected
from tests.config.field.cases import case

PROXY_GATES = ("A2-https", "A5", "A6", "A7", "A8")
SOURCE = {"expect_balance": {"rest": "source", "cfn": "source"}}
CHARM = """\
global
    log /var/lib/haproxy/dev/log local0
    maxconn 20000
    stats socket /var/run/haproxy/admin.sock mode 600 level admin
defaults
    log global
    mode tcp
    option tcplog
    option dontlognull
    retries 3
    timeout queue 9000
    timeout connect 9000
    timeout client 90000
    timeout server 90000
frontend tcp-in_heat_api
    bind *:8004
    acl net_10.5.0.4 dst 10.5.0.4/255.255.0.0
    use_backend heat_api_10.5.0.4 if net_10.5.0.4
    default_backend heat_api_10.5.0.4
backend heat_api_10.5.0.4
    balance leastconn
    server heat-0 10.5.0.4:7994 check
    server heat-1 10.5.0.5:7994 check
"""
"""charm-helpers' template, with the timeouts of the charm."""


def serious(findings: list[Finding]) -> set[tuple[str, str]]:
    """(severity, rule) of the errors and warnings of this room's rules."""
    return {(str(f.severity), f.rule) for f in findings if f.serious and f.rule.startswith(PROXY_GATES)}


def charm(**options: object) -> Inputs:
    """The charm's proxy with some fields of Inputs."""
    return Inputs(proxies=(("proxy", (("haproxy.cfg", CHARM),)),), **options)  # type: ignore[arg-type]


def of(findings: list[Finding], rule: str) -> Finding:
    """The only finding of a rule, or the first of equal ones."""
    found = [finding for finding in findings if finding.rule == rule]
    assert len({finding.says.partition(": ")[2] for finding in found}) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h01", {"A6-check-without-http", "A8-timeout-races-rpc"}),
        ("h03", {"A8-timeout-races-rpc"}),
        ("h04", {"A2-https-links", "A8-timeout-races-rpc"}),
        ("h17", {"A7-no-redispatch", "A8-timeout-races-rpc"}),
        ("h18", set()),
        ("h21", set()),
        ("h24", set()),
        ("h29", {"A7-redispatch-late"}),
        ("h30", set()),
        ("h07", {"A7-redispatch-late"}),
    ],
)
def test_stock_files_give_no_error_and_only_true_warnings(name: str, expected: set[str]) -> None:
    """Without a word of the owner no stock file breaks anything; its timeouts may race Heat's."""
    assert serious(case(name).found()) == {("warning", rule) for rule in expected}


def test_a_stock_charm_has_tcp_checks_and_enough_time() -> None:
    """90 s are more than Heat's 60 s; the checks of a charm need no answer."""
    found = list(audit(charm()).faults)
    assert serious(found) == {("warning", "A6-check-without-http")}
    assert "A8-timeout-races-rpc" not in {finding.rule for finding in found}


@pytest.mark.parametrize(
    ("name", "crash", "freeze"),
    [("h01", "10 s", "60 s"), ("h03", "36 s", "72 s"), ("h04", "10 s", "60 s"), ("h24", "14 s", "44 s")],
)
def test_the_bounds_of_the_defaults_are_figures(name: str, crash: str, freeze: str) -> None:
    """A note shows both bounds; against a time that the owner says they are a warning."""
    (note, *_) = case(name).found("A6-slow-detection")
    assert note.severity is Severity.NOTE
    assert crash in note.says
    assert freeze in note.says
    assert not note.diff
    (warning, *_) = case(name).found("A6-slow-detection", max_detection_s=30.0)
    assert warning.severity is Severity.WARNING
    assert case(name).found("A6-slow-detection", max_detection_s=90.0) == []


@pytest.mark.parametrize("name", ["h01", "h03", "h04", "h24", "h16"])
def test_another_balance_than_the_guides_is_a_note_until_the_owner_says_what_is_wanted(name: str) -> None:
    """Unsaid: a note without a change. Wanted source: an error with one. What is there is quiet."""
    notes = case(name).found("A5-balance")
    assert {note.severity for note in notes} == {Severity.NOTE}
    assert not any(note.diff for note in notes)
    errors = case(name).found("A5-balance", **SOURCE)
    assert {error.severity for error in errors} == {Severity.ERROR}
    assert all("balance source" in error.diff for error in errors)
    there = "leastconn" if name == "h03" else "roundrobin"
    assert case(name).found("A5-balance", expect_balance={"rest": there, "cfn": there}) == []


def test_a_wanted_balance_counts_for_its_api_only() -> None:
    """With leastconn wanted, source is an error; the other API is not said."""
    found = case("h29").found("A5-balance", expect_balance={"cfn": "leastconn"})
    assert [(f.rule, f.severity, f.where) for f in found] == [
        ("A5-balance-unwanted", Severity.ERROR, "heat_cfn")
    ]
    assert "+  balance leastconn" in found[0].diff
    mixed = charm(expect_balance={"rest": "source"})
    assert [f.rule for f in audit(mixed).faults if f.serious and f.gate == "A5"] == [
        "A5-balance-not-source"
    ]


def test_a_cookie_without_values_and_a_table_that_only_counts_keep_nobody() -> None:
    """The cookie is named with what it lacks; a counting stick table is no persistence."""
    assert "heat_api_1, heat_api_2" in of(case("h16").found(), "A5-balance-not-source").says
    assert "stick" not in of(case("h03").found(), "A5-balance-not-source").says


def test_a_backup_is_a_choice_until_a_balance_is_wanted() -> None:
    """Active and standby may be meant: a note that names the server, a warning with a wanted balance."""
    assert of(case("h18").found(), "A5-backup").severity is Severity.NOTE
    assert "n2" in of(case("h18").found(), "A5-backup").says
    assert of(case("h18").found(**SOURCE), "A5-backup").severity is Severity.WARNING


def test_a_check_that_refuses_heats_answer_is_an_error() -> None:
    """GET / is answered with 300; `expect status 200` takes every server DOWN, and nothing stays UP."""
    for release in (None, 13, 24):
        found = case("h15").found("A6", heat_release=release)
        (error,) = [finding for finding in found if finding.serious]
        assert error.rule == "A6-check-refused"
        assert "300" in error.says
        assert "DOWN" in error.follows
        assert not any("stays UP" in finding.follows for finding in found)
        assert ("GET /healthcheck" in error.diff) == (release == 24)
    after = corrected(case("h15").inputs(heat_release=24))
    assert [f.rule for f in audit(after).faults if f.gate == "A6"] == []


def test_healthcheck_exists_since_heat_15() -> None:
    """Before, its check is an error that names the release, and nobody is told to use it."""
    old = case("h03").found("A6-check-refused", heat_release=13)
    assert len(old) == 2
    assert "HEAD /healthcheck, which Heat 13 answers with 404" in old[0].says
    assert not any(finding.diff for finding in old)
    assert case("h03").found("A6-check", heat_release=15) == []
    assert case("h04").found("A6-check", heat_release=13) == []
    for release, patched in ((None, False), (24, True)):
        shallow = case("h04").found("A6-check-shallow", heat_release=release)
        assert [bool(finding.diff) for finding in shallow] == [patched, patched]
        assert "OPTIONS /" in shallow[0].says


def test_a_shallow_check_says_what_it_requests() -> None:
    """HEAD / is not GET /; a check that accepts 4xx is shallow as well."""
    assert of(case("h30").found(), "A6-check-shallow").says.endswith("requests HEAD /")
    assert {f.where for f in case("h17").found("A6-check-shallow")} == {
        "Heat_api_internal",
        "Heat-cfn_api_internal",
    }


def test_tls_at_the_proxy_needs_a_header_and_an_api_that_reads_it() -> None:
    """Neither half is there, or one, or both; without Heat's files only the proxy's half is judged."""
    (both,) = case("h20").found("A2-https-links")
    assert both.severity is Severity.WARNING
    assert "X-Forwarded-Proto is not set; enable_proxy_headers_parsing is not true on n1, n2" in both.says
    assert audit(corrected(case("h20").inputs())).of("A2") == ()
    (unread,) = case("h04").found("A2-https-links")
    assert "HAProxy sets X-Forwarded-Proto, but" in unread.says
    assert case("h01").found("A2-https-links") == []
    assert case("h03").found("A2-https-links") == []
    assert case("h21").found("A2-https-links") == []
    (alone,) = case("h20").found("A2-https-links", heat=())
    assert "cannot be determined" in alone.says
    tcp = CHARM.replace("bind *:8004", "bind *:8004 ssl crt a.pem")
    (inside,) = audit(Inputs(proxies=(("proxy", (("p", tcp),)),))).of("A2")
    assert "mode tcp" in inside.says
    assert not inside.diff


def test_no_change_touches_defaults_that_other_services_may_use() -> None:
    """kolla's defaults are in a file of their own: each change is in a section of Heat."""
    inputs = case("h01").inputs(heat_release=24, max_detection_s=20.0, **SOURCE)
    after, defaults = corrected(inputs), str(case("h01").folder / "haproxy.cfg")
    assert after.texts[defaults] == inputs.texts[defaults]
    assert serious(list(audit(after).faults)) == set()


def test_keep_alive_is_judged_by_what_the_owner_wants() -> None:
    """Wanted: a warning; not wanted: nothing; unsaid: a note."""
    severities = {
        wanted: {finding.severity for finding in case("h03").found("A7-no-keepalive", tcp_keepalive=wanted)}
        for wanted in (True, False, None)
    }
    assert severities == {True: {Severity.WARNING}, False: set(), None: {Severity.NOTE}}


def test_a_missing_redispatch_matters_most_to_clients_of_a_hash() -> None:
    """h17 hashes its clients: a warning, and a change that gives a hash with which redispatch works."""
    assert {finding.severity for finding in case("h04").found("A7-no-redispatch")} == {Severity.NOTE}
    hashed = case("h17").found("A7-no-redispatch")
    assert {finding.severity for finding in hashed} == {Severity.WARNING}
    assert all("+  hash-type consistent" in finding.diff for finding in hashed)
    assert audit(corrected(case("h17").inputs())).of("A7") == ()
