"""Each rule, with an example that it finds and the clean deployment in which it finds nothing."""

from __future__ import annotations

import gzip
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from calorimeter.config import audit
from calorimeter.config.audit import HeatFiles, Inputs, output, report_text
from calorimeter.config.audit.rules.all_rules import RULES
from calorimeter.core.deployment import Address
from tests.config.audit import clean
from tests.config.audit.clean import edited
from tests.places import GUIDE

MANUAL = Path("/usr/share/doc/haproxy/configuration.txt.gz")

EXAMPLES: list[tuple[str, str, str, str]] = [
    ("A1-address-shared", "c", "bind_host = 10.0.0.3", "bind_host = 10.0.0.2"),
    ("A1-server-twice", "proxy", "rest-2 10.0.0.3:8004", "rest-2 10.0.0.2:8004"),
    ("A1-address-of-proxy", "b", "bind_host = 10.0.0.2", "bind_host = 10.0.0.1"),
    ("A2-server-is-proxy", "proxy", "rest-1 10.0.0.2:8004", "rest-1 10.0.0.1:8004"),
    ("A2-server-without-api", "proxy", "rest-1 10.0.0.2:8004", "rest-1 10.0.0.9:8004"),
    ("A2-section-mixed", "proxy", "rest-1 10.0.0.2:8004", "rest-1 10.0.0.2:8000"),
    ("A2-api-behind-no-server", "proxy", "    server cfn-2 10.0.0.3:8000\n", ""),
    ("A2-send-proxy", "proxy", "rest-1 10.0.0.2:8004", "rest-1 10.0.0.2:8004 send-proxy"),
    ("A2-line-unreadable", "proxy", "retries 3", 'retries "3'),
    ("A2-line-unreadable", "proxy", "retries 3", "retires 3"),
    ("A2-line-unreadable", "proxy", "retries 3", "Retries 3"),
    ("A2-line-unreadable", "proxy", "retries 3", "include conf.d/*.cfg"),
    ("A2-line-unreadable", "proxy", "global\n", "daemon\nglobal\n"),
    ("A2-line-of-haproxy-1", "proxy", "    option redispatch 1", "    redispatch 1"),
    ("A2-line-of-haproxy-1", "proxy", "timeout connect 10s", "contimeout 10s"),
    ("A2-line-of-haproxy-1", "proxy", "_proxy\n    bind 10.0.0.1:8004", "_proxy 10.0.0.1:8004"),
    ("A2-variable-unset", "proxy", "retries 3", 'retries "$NOWHERE"'),
    ("A2-variable-unset", "proxy", "cfn_api_proxy\n", "cfn_api_proxy\n    bind $NOWHERE:8000\n"),
    ("A2-https-links", "proxy", "bind 10.0.0.1:8004", "mode http\n    bind 10.0.0.1:8004 ssl crt a.pem"),
    ("A3-loopback-service", "b", "@10.0.0.1/heat", "@127.0.0.1/heat"),
    ("A3-loopback-service", "b", "auth_url = http://10.0.0.1:5000", "auth_url = http://localhost:5000"),
    ("A3-loopback-broker", "b", "broker-pw@10.0.0.1:5672", "broker-pw@localhost:5672"),
    ("A4-broker-differs", "c", "broker-pw@", "other@"),
    ("A4-broker-differs", "c", "broker-pw@10.0.0.1", "broker-pw@10.0.0.9"),
    (
        "A4-broker-differs",
        "c",
        "broker-pw@10.0.0.1:5672",
        "broker-pw@10.0.0.1:5672,heat:broker-pw@10.0.0.9",
    ),
    ("A4-broker-differs", "c", ":5672/", ":5672/other"),
    ("A4-database-differs", "c", "db-pw@10.0.0.1/heat", "db-pw@10.0.0.1/other"),
    ("A4-encryption-key-differs", "c", "key = 0123", "key = 3210"),
    ("A4-messaging-differs", "c", "rabbit_quorum_queue = false", "rabbit_quorum_queue = true"),
    ("A4-messaging-differs", "c", "rpc_response_timeout = 60\n", "rpc_response_timeout = 30\n"),
    ("A5-balance-not-source", "proxy", "    balance source\n    hash-type consistent\n", ""),
    ("A5-balance-not-source", "proxy", "balance source", "balance roundrobin"),
    (
        "A5-balance-not-source",
        "proxy",
        "    balance source",
        "    stick-table type ip size 1k\n    balance first",
    ),
    ("A5-mode-unsaid", "proxy", "    mode tcp\n", ""),
    ("A5-backup", "proxy", "10.0.0.2:8004", "10.0.0.2:8004 backup"),
    ("A5-weight-zero", "proxy", "10.0.0.2:8004", "10.0.0.2:8004 weight 0"),
    (
        "A5-closes-connections",
        "proxy",
        "balance source",
        "mode http\n    option httpclose\n    balance source",
    ),
    ("A6-no-check", "proxy", "default-server check", "default-server"),
    ("A6-no-check", "proxy", "10.0.0.2:8004", "10.0.0.2:8004 no-check"),
    (
        "A6-check-refused",
        "proxy",
        "httpchk GET /healthcheck",
        "httpchk GET /\n    http-check expect status 200",
    ),
    (
        "A6-check-refused",
        "proxy",
        "httpchk GET /healthcheck",
        "httpchk HEAD /healthcheck\n    http-check expect status 200",
    ),
    ("A6-check-without-http", "proxy", "    option httpchk GET /healthcheck\n", ""),
    ("A6-check-shallow", "proxy", "httpchk GET /healthcheck", "httpchk"),
    ("A6-slow-detection", "proxy", "timeout check 2s", "timeout check 10s"),
    ("A6-slow-detection", "proxy", "inter 2s", "inter 20s fastinter 10s"),
    ("A6-one-backup-only", "proxy", "maxconn 500", "backup maxconn 500"),
    ("A6-sessions-stay", "proxy", " on-marked-down shutdown-sessions", ""),
    ("A7-no-keepalive", "proxy", "    option tcpka\n", ""),
    ("A7-no-keepalive", "proxy", "option tcpka", "option clitcpka"),
    ("A7-redispatch-map-based", "proxy", "    hash-type consistent\n", ""),
    ("A7-redispatch-map-based", "proxy", "hash-type consistent", "hash-type map-based"),
    ("A7-no-redispatch", "proxy", "    option redispatch 1\n", ""),
    ("A7-redispatch-late", "proxy", "option redispatch 1", "option redispatch"),
    ("A7-redispatch-late", "proxy", "option redispatch 1", "option redispatch -1"),
    ("A8-maxconn-order", "proxy", "    maxconn 2000", "    maxconn 8000"),
    ("A8-timeout-races-rpc", "proxy", "timeout server 70s", "timeout server 1m"),
    ("A8-timeout-races-rpc", "proxy", "timeout client 70s", "timeout client 50000"),
    ("A8-no-timeout", "proxy", "    timeout connect 10s\n", ""),
    (
        "A8-timeout-without-effect",
        "proxy",
        "timeout queue 1m",
        "timeout queue 1m\n    timeout http-request 5s",
    ),
    ("A8-timeout-without-effect", "proxy", " maxconn 500", ""),
    ("A8-server-maxconn-order", "proxy", "maxconn 500", "maxconn 5000"),
    ("A9-log-nowhere", "proxy", "    log 127.0.0.1:514 local0\n", ""),
    ("A9-log-nowhere", "proxy", "    log global\n", ""),
    ("A9-log-without-server", "proxy", "    option tcplog\n", ""),
    ("A9-no-stats", "proxy", "    stats socket /run/haproxy/admin.sock mode 660 level admin\n", ""),
    ("A10-line-unreadable", "b", "[database]", "...\n[database]"),
    ("A10-transport-unreadable", "b", "broker-pw@", "broker#pw@"),
    ("A10-option-gone", "b", "[database]", "rpc_backend = rabbit\n[database]"),
    ("A10-database-option-gone", "b", "[database]", "sql_idle_timeout = 200\n[database]"),
    ("A10-broker-option-gone", "b", "[database]", "rabbit_host = 10.0.0.1\n[database]"),
    ("A10-default-group", "b", "[database]", "[default]\nmax_stacks_per_tenant = 9\n[database]"),
    ("A10-group-unknown", "b", "[database]", "[databases]\nmax_retries = 3\n[database]"),
    ("A10-option-unknown", "b", "[database]", "max_stack_per_tenant = 9\n[database]"),
    ("A10-value-refused", "b", "[database]", "max_stacks_per_tenant = many\n[database]"),
    ("A10-dollar-sign", "b", "[database]", "stack_domain_admin = a$b\n[database]"),
    ("A10-option-renamed", "b", "[keystone_authtoken]\nauth_type", "[keystone_authtoken]\nauth_plugin"),
    ("A10-option-ending", "b", "[database]", "wsgi_keep_alive = true\n[database]"),
    (
        "A10-option-dropped",
        "b",
        "[keystone_authtoken]",
        "[keystone_authtoken]\nauth_uri = http://10.0.0.1:5000",
    ),
    ("A11-workers-unsaid", "b", "num_engine_workers = 2\n", ""),
    ("A11-database-connections", "b", "num_engine_workers = 2", "num_engine_workers = 60"),
    ("A12-cfn-trusts", "b", "deferred_auth_method = password\n", ""),
    ("A12-ec2-credentials", "b", "[ec2authtoken]\nauth_type = password", "[ec2authtoken]"),
    (
        "A12-ec2-endpoint",
        "b",
        "endpoint_override = http://10.0.0.1:5000",
        "endpoint_override = http://k:5/v3/",
    ),
    ("A12-cfn-policy", "b", "enforce_new_defaults = false", "enforce_new_defaults = true"),
]
ALONGSIDE = {
    # The edited file is the only one with the API at that address: another rule finds that too.
    "A1-address-shared": {"A2-server-without-api"},
    "A1-server-twice": {"A2-api-behind-no-server"},
    "A1-address-of-proxy": {"A2-server-without-api"},
    "A2-server-is-proxy": {"A2-api-behind-no-server", "A2-server-without-api"},
    "A2-server-without-api": {"A2-api-behind-no-server"},
    "A2-section-mixed": {"A2-api-behind-no-server"},
    "A3-loopback-broker": {"A4-broker-differs"},
    "A3-loopback-service": {"A4-database-differs"},
    "A5-closes-connections": {"A8-timeout-without-effect", "A9-log-without-server"},
    "A2-https-links": {"A8-timeout-without-effect", "A9-log-without-server"},
}
BY_HAND = {
    "A10-transport-unreadable": "the broken password of the example is not that of the other machine",
    "A1-address-shared": "the owner decides which of the two moves",
    "A1-address-of-proxy": "the guide stops the process and keeps the file",
    "A2-server-without-api": "the address is not in the files",
    "A2-section-mixed": "the address is not in the files",
    "A2-send-proxy": "the API may understand it",
    "A2-line-unreadable": "the intended line is not in the files",
    "A2-variable-unset": "the value is not in the files",
    "A5-weight-zero": "the owner decides the weight",
    "A5-backup": "the owner decides which APIs are active",
    "A5-closes-connections": "it may be the owner's choice",
    "A6-one-backup-only": "one active API may be the owner's choice",
    "A4-transient-queues": "all processes switch together, or the broker permits them",
    "A8-server-maxconn-order": "the owner decides which limit is right",
    "A10-group-unknown": "what was meant is not certain",
    "A10-option-unknown": "what was meant is not certain",
    "A10-value-refused": "the intended value is not in the files",
    "A10-dollar-sign": "whether the dollar sign or the name is wrong is not in the files",
    "A10-option-ending": "the owner decides how to do without it",
    "A10-line-unreadable": "the intended line is not in the files",
    "A4-broker-differs": "the owner knows which file is right",
    "A4-database-differs": "the owner knows which file is right",
    "A4-encryption-key-differs": "the owner knows which key the database has",
    "A4-messaging-differs": "the owner knows which queues the broker has",
    "A4-encryption-key-default": "a secret has to be created",
    "A11-workers-unsaid": "the owner decides the number of engines",
    "A12-cfn-trusts": "Heat's default is right for the REST API",
    "A12-ec2-credentials": "the service user may not be in the file",
    "A12-cfn-policy": "in a file of the REST API, too, the option opens that",
    "A11-database-connections": "the owner decides the number of engines",
    "A1-server-twice": "a patch removes no server",
    "A2-server-is-proxy": "a patch removes no server",
    "A9-log-nowhere": "the address of the log's reader is not in the files",
    "A8-timeout-without-effect": "it is inherited: another section may use it",
    "A9-no-stats": "the path of the socket is not in the files",
}
"""Rules whose findings may have no change, and why."""


def ids(inputs: Inputs) -> set[str]:
    """The ids of the rules that find something."""
    return {finding.rule for finding in audit.audit(inputs).faults}


def test_a_clean_deployment_has_no_findings() -> None:
    """No rule finds anything in the clean deployment."""
    assert audit.audit(clean.inputs()).faults == ()


@pytest.mark.parametrize(("rule", "file", "old", "new"), EXAMPLES)
def test_each_rule_finds_its_example(rule: str, file: str, old: str, new: str) -> None:
    """Its rule finds one edit of the clean deployment, and no unrelated rule does."""
    found = ids(edited(file, old, new))
    assert rule in found
    assert found <= {rule} | ALONGSIDE.get(rule, set())


@pytest.mark.parametrize(("rule", "file", "old", "new"), EXAMPLES)
def test_the_proposed_changes_correct_each_example(rule: str, file: str, old: str, new: str) -> None:
    """After the proposed changes no rule finds anything."""
    inputs = edited(file, old, new)
    after = audit.corrected(inputs)
    if rule not in BY_HAND:
        assert ids(after) == set()
        assert any(finding.diff for finding in audit.audit(inputs).faults if finding.rule == rule)


def test_every_rule_has_an_example() -> None:
    """Each rule has an example here."""
    elsewhere = {
        "A2-bind-unknown",
        "A10-release-not-judged",
        "A2-proxies-differ",
        "A4-encryption-key-default",
        "A4-reply-queue-shared",
        "A4-transient-queues",
        "A5-balance-unwanted",
        "A5-slowstart-map-based",
        "A5-source-hidden",
        "A6-check-sends-nothing",
        "A11-engine-name-shared",
    }
    assert {rule.id for rule in RULES} == {example[0] for example in EXAMPLES} | elsewhere


def test_a_bind_that_clients_do_not_use() -> None:
    """If the front address is known, the proxy must be bound to it, or to every address."""
    known = {"rest": Address(host="10.0.0.7", port=8004)}
    inputs = replace(clean.inputs(), fronts=known)
    assert ids(inputs) == {"A2-bind-unknown"}
    assert ids(audit.corrected(inputs)) == set()
    everywhere = edited("proxy", "bind 10.0.0.1:8004", "bind :8004")
    assert ids(replace(everywhere, fronts=known)) == set()


def test_a_pair_of_proxies_with_different_servers() -> None:
    """A server that only one of two proxies lists is a warning at its line; equal proxies are clean."""
    (first,) = clean.inputs().proxies
    same = replace(clean.inputs(), proxies=(("lb1", first[1]), ("lb2", (("lb2.cfg", clean.PROXY),))))
    assert ids(same) == set()
    without = clean.PROXY.replace("    server rest-2 10.0.0.3:8004\n", "")
    less = replace(same, proxies=(same.proxies[0], ("lb2", (("lb2.cfg", without),))))
    (finding,) = audit.audit(less).faults
    assert (finding.rule, finding.file, finding.line) == ("A2-proxies-differ", "apis-proxy.conf", 28)
    assert "lb2" in finding.says


def test_an_encryption_key_that_is_not_set() -> None:
    """Without auth_encryption_key on any machine Heat uses its published default."""
    text = "auth_encryption_key = 0123456789abcdef0123456789abcdef\n"
    b, c = clean.heat("10.0.0.2").replace(text, ""), clean.heat("10.0.0.3").replace(text, "")
    assert ids(clean.inputs(b=b, c=c)) == {"A4-encryption-key-default"}


def test_slowstart_with_a_map_based_hash() -> None:
    """slowstart has no effect with a map-based hash, and has one with a consistent hash."""
    slow = clean.PROXY.replace("10.0.0.2:8004", "10.0.0.2:8004 slowstart 1m")
    assert ids(clean.inputs(slow)) == set()
    assert "A5-slowstart-map-based" in ids(clean.inputs(slow.replace("    hash-type consistent\n", "")))


def test_loopback_is_correct_on_one_machine() -> None:
    """If everything runs on one machine, loopback addresses are not a fault."""
    proxy = clean.PROXY.replace("10.0.0.", "127.0.0.")
    b = clean.heat("127.0.0.2").replace("10.0.0.", "127.0.0.")
    c = clean.heat("127.0.0.3").replace("10.0.0.", "127.0.0.")
    assert ids(clean.inputs(proxy, b, c)) == set()


def test_engines_without_an_api_on_one_machine() -> None:
    """An engine's file has no address: on one machine its loopback broker is the same as the others'."""
    proxy = clean.PROXY.replace("10.0.0.", "127.0.0.").replace("    server rest-2 127.0.0.3:8004\n", "")
    proxy = proxy.replace("    server cfn-2 127.0.0.3:8000\n", "")
    b = clean.heat("127.0.0.2").replace("10.0.0.", "127.0.0.")
    engine = re.sub(r"\[heat_api\].*?(?=\[oslo_mess)", "", b, flags=re.DOTALL)
    assert ids(clean.inputs(proxy, b, engine)) == set()


def test_loopback_is_correct_on_the_machine_with_the_database() -> None:
    """The others use machine B for database and broker: B itself may use localhost."""
    b = clean.heat("10.0.0.2").replace("@10.0.0.1", "@localhost")
    c = clean.heat("10.0.0.3").replace("@10.0.0.1", "@10.0.0.2")
    assert ids(clean.inputs(b=b, c=c)) == set()


def test_old_options_become_new_ones() -> None:
    """sql_connection and rabbit_* become [database] connection and transport_url, passwords quoted."""
    b = (
        clean.heat("10.0.0.2")
        .replace("transport_url = rabbit://heat:broker-pw@10.0.0.1:5672/", "rabbit_host = 10.0.0.1")
        .replace(
            "[database]\nconnection =", "rabbit_userid = heat\nrabbit_password = a@b$c\nsql_connection ="
        )
    )
    text = audit.corrected(clean.inputs(b=b)).texts["heat-b.conf"]
    assert "transport_url = rabbit://heat:a%40b%24c@10.0.0.1:5672/\n" in text
    assert "[database]\nconnection = mysql+pymysql://heat:db-pw@10.0.0.1/heat\n" in text
    assert "rabbit_host" not in text


def test_findings_of_one_cause_are_one_finding() -> None:
    """A statement in `defaults` that is wrong for both sections is one finding that names both."""
    findings = audit.audit(edited("proxy", "timeout server 70s", "timeout server 1m")).faults
    assert [finding.line for finding in findings] == [17]
    assert "rest_api_proxy, cfn_api_proxy" in findings[0].says


def test_a_waived_gate_does_not_count() -> None:
    """A waived finding is reported with its reason and does not affect the exit status."""
    inputs = edited("proxy", "default-server check", "default-server")
    report = audit.audit(inputs, {"A6": "checked elsewhere"})
    assert [finding.waived for finding in report.faults] == ["checked elsewhere"]
    assert report.status == 0
    assert audit.audit(inputs).status == 1


@pytest.mark.parametrize(
    ("engines", "found"),
    [({"B"}, ["B"]), ({"engine-1"}, ["B"]), ({"C"}, []), ({"node-7"}, ["B"]), (None, ["B"])],
)
def test_engines_are_known_by_machine_or_by_heats_own_name(
    engines: set[str] | None, found: list[str]
) -> None:
    """The engine of B has the name engine-1; with names that are in no file, every file is an engine's."""
    b = clean.heat("10.0.0.2").replace("num_engine_workers = ", "host = engine-1\n#")
    inputs = replace(clean.inputs(b=b), engines=frozenset(engines) if engines else None)
    unsaid = [f for f in audit.audit(inputs).faults if f.rule == "A11-workers-unsaid"]
    assert [finding.says.partition(":")[0] for finding in unsaid] == found


def test_no_output_has_a_password() -> None:
    """No password of the files is in the text, the JSON or the SARIF log."""
    b = clean.heat("10.0.0.2").replace("[DEFAULT]\n", "[DEFAULT]\nsql_connection = x://u:db-pw@h/d\n")
    b = b.replace("transport_url = ", "rabbit_password = broker-pw\n#").replace("num_engine", "#num")
    proxy = clean.PROXY.replace("balance source", "stats auth admin:service-pw\n    balance first")
    report = audit.audit(clean.inputs(proxy, b, clean.heat("10.0.0.3").replace("0123", "3210")))
    assert len(report.faults) > 4
    for shown in (report_text.text(report), output.as_json(report), output.sarif(report)):
        assert not [secret for secret in clean.SECRETS if secret in shown]


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[*\\#]", "", text).split())


def test_quotes_of_the_guide_are_verbatim() -> None:
    """Every sentence that a rule quotes from the guide is in the guide."""
    text = _plain(
        (GUIDE / "scaling-a-deployment.rst")
        .read_text(encoding="utf-8")
        .replace("`HAProxy <http://haproxy.1wt.eu>`_", "HAProxy")
    )
    for rule in RULES:
        if rule.quote.source == "OpenStack Heat, Scaling a Deployment":
            assert _plain(rule.quote.text) in text, rule.id


@pytest.mark.skipif(not MANUAL.exists(), reason="needs HAProxy's manual on this machine")
def test_quotes_of_the_manual_are_verbatim() -> None:
    """Every sentence that a rule quotes from HAProxy's manual is in the manual."""
    text = _plain(gzip.decompress(MANUAL.read_bytes()).decode("utf-8", "replace"))
    for rule in RULES:
        if rule.quote.source.startswith("HAProxy"):
            assert _plain(rule.quote.text) in text, rule.id


def test_time_grows_with_the_servers() -> None:
    """100 REST and 100 CFN servers with 100 Heat files take seconds, not minutes as if each met each."""
    hosts = [f"10.0.1.{n}" for n in range(1, 101)]
    head, _, rest = clean.PROXY.partition("    server rest-1")
    middle = rest[rest.index("\nlisten") : rest.index("    server cfn-1")]
    proxy = head + "".join(f"    server rest-{h} {h}:8004\n" for h in hosts)
    proxy += middle + "".join(f"    server cfn-{h} {h}:8000 weight 0\n" for h in hosts)
    heat = tuple(HeatFiles(h, ((f"{h}.conf", clean.heat(h).replace("@10.0.0.1", "@::1")),)) for h in hosts)
    started = time.process_time()
    report = audit.audit(Inputs((("proxy", (("apis-proxy.conf", proxy),)),), heat))
    assert time.process_time() - started < 10
    assert len(report.faults) >= 100
