"""A4 and A11: what has to be equal among the processes of one Heat, what has to differ, who reads it."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from calorimeter.commands import name_resolution
from calorimeter.config.audit import HeatFiles, Inputs, Severity, audit, corrected
from calorimeter.core.deployment import HeatRole
from tests.config.audit import clean

MANAGER = "[oslo_messaging_rabbit]\nuse_queue_manager = true\n"


def processes(**texts: str) -> Inputs:
    """Heat processes: `ctl1_engine="…"` is the engine of ctl1; without a role it is every process."""
    heat = []
    for name, text in texts.items():
        host, _, role = name.partition("_")
        said: dict[str, frozenset[HeatRole]] = {
            "rest": frozenset({"rest"}),
            "cfn": frozenset({"cfn"}),
            "engine": frozenset({"engine"}),
        }
        heat.append(HeatFiles(host, ((f"{name}.conf", text),), said.get(role)))
    return Inputs(heat=tuple(heat))


def found(inputs: Inputs, rules: str = "A4-") -> set[tuple[str, str]]:
    """(severity, rule) of the findings of some rules."""
    return {(str(f.severity), f.rule) for f in audit(inputs).faults if f.rule.startswith(rules)}


def brokers(*urls: str, addresses: dict[str, tuple[str, ...]] | None = None) -> set[tuple[str, str]]:
    """The findings of A4-broker-differs about machines with these transport URLs."""
    texts = {f"ctl{n}": f"[DEFAULT]\ntransport_url = {url}\n" for n, url in enumerate(urls)}
    inputs = replace(processes(**texts), addresses=addresses or {})
    return found(inputs, "A4-broker-differs")


@pytest.mark.parametrize(
    ("one", "other", "severity"),
    [
        ("rabbit://u:p@10.0.0.1,u:p@10.0.0.2/", "rabbit://u:p@10.0.0.2:5672,u:p@10.0.0.1//", None),
        ("rabbit://u:p@10.0.0.1/", "rabbit://v:q@10.0.0.1/", None),
        ("rabbit://u:p@10.0.0.1:5671/?ssl=1", "rabbit://u:p@10.0.0.1:5672/", None),
        ("rabbit://u:p@[fd00::1]/", "rabbit://u:p@[fd00:0::1]:5672/", None),
        ("rabbit://u:p@10.0.0.1:5672/?ssl=1", "rabbit://u:p@10.0.0.1:5672/", Severity.ERROR),
        ("rabbit://u:p@10.0.0.1/", "rabbit://u:q@10.0.0.1/", Severity.ERROR),
        ("rabbit://u:p@10.0.0.1/", "rabbit://u:p@10.0.0.1/heat", Severity.ERROR),
        ("rabbit://u:p@10.0.0.1/", "rabbit://u:p@10.0.0.3/", Severity.ERROR),
        ("rabbit://u:p@10.0.0.1,u:p@10.0.0.2/", "rabbit://u:p@10.0.0.1/", Severity.WARNING),
        ("rabbit://u:p@10.0.0.1/", "rabbit://u:p@rabbit-1/", Severity.NOTE),
        ("rabbit://u:p@10.0.0.1/", "rabbit://u:p@localhost/", Severity.NOTE),
        ("rabbit://u:p@rabbit-2/", "rabbit://u:p@RABBIT-2./", None),
    ],
)
def test_what_is_another_broker(one: str, other: str, severity: Severity | None) -> None:
    """One cluster, user or port of TLS is the same broker; a name that is not resolved may be."""
    expected = {(str(severity), "A4-broker-differs")} if severity else set()
    assert brokers(one, other) == expected
    assert brokers(other, one) == expected


def test_resolved_names_are_compared() -> None:
    """A name that is resolved is its addresses."""
    urls = "rabbit://u:p@10.0.0.1/", "rabbit://u:p@rabbit-1/"
    assert brokers(*urls, addresses={"rabbit-1": ("10.0.0.1",)}) == set()
    assert brokers(*urls, addresses={"rabbit-1": ("10.0.0.9",)}) == {("error", "A4-broker-differs")}


def test_names_of_brokers_and_databases_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command resolves them if the files do not name the same, and only then."""
    asked: list[str] = []

    def answer(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    text = "[DEFAULT]\ntransport_url = rabbit://u:p@{}/\n[database]\nconnection = mysql://h:p@{}/heat\n"
    alike = processes(b=text.format("rabbit-1", "db"), c=text.format("RABBIT-1", "db"))
    assert name_resolution.with_addresses(alike).addresses == {}
    other = processes(b=text.format("rabbit-1", "db"), c=text.format("10.0.0.1", "10.0.0.1"))
    assert found(other, "A4-broker") == {("note", "A4-broker-differs")}
    assert not found(name_resolution.with_addresses(other), "A4-broker")
    assert sorted(asked) == ["db", "rabbit-1"]


@pytest.mark.parametrize(
    ("other", "severity"),
    [
        ("mysql://heat:pw@10.0.0.1:3306/heat?charset=utf8", None),
        ("mariadb+pymysql://other:xx@10.0.0.1/heat", None),
        ("mysql+pymysql://heat:xx@10.0.0.1/heat", Severity.ERROR),
        ("mysql+pymysql://heat:pw@10.0.0.1:3307/heat", Severity.ERROR),
        ("postgresql://heat:pw@10.0.0.1/heat", Severity.ERROR),
        ("mysql+pymysql://heat:pw@[fd00::1]/heat", Severity.ERROR),
        ("mysql+pymysql://heat:pw@db.example.org/heat", Severity.NOTE),
    ],
)
def test_what_is_another_database(other: str, severity: Severity | None) -> None:
    """Driver, default port, query and user do not make another database."""
    texts = (
        f"[database]\nconnection = {url}\n" for url in ("mysql+pymysql://heat:pw@10.0.0.1/heat", other)
    )
    inputs = processes(**dict(zip(("b", "c"), texts, strict=True)))
    assert found(inputs, "A4-database") == ({(str(severity), "A4-database-differs")} if severity else set())


def test_database_and_key_are_the_engines() -> None:
    """The API's file lacks both, and has another number of workers: nothing. Another engine's: errors."""
    engine = "[DEFAULT]\nauth_encryption_key = 1\n[database]\nconnection = mysql://h/heat\n"
    alike = processes(ctl1_rest="", ctl1_cfn="", ctl1_engine=engine, ctl2_engine=engine)
    assert found(alike) == set()
    other = processes(ctl1_rest="", ctl1_engine=engine, ctl2_engine="[DEFAULT]\n", ctl3_engine=engine)
    assert found(other) == {
        ("error", "A4-database-differs"),
        ("error", "A4-encryption-key-differs"),
        ("warning", "A4-encryption-key-default"),
    }


@pytest.mark.parametrize(
    ("one", "other", "severity"),
    [
        ("heartbeat_in_pthread = true", "heartbeat_in_pthread = false", Severity.NOTE),
        ("heartbeat_in_pthread = true", "heartbeat_in_pthread = 1", None),
        ("heartbeat_in_pthread = true", "", None),
        ("rabbit_qos_prefetch_count = 50", "", Severity.WARNING),
        ("rabbit_qos_prefetch_count = 0", "", None),
        ("rabbit_quorum_queue = true", "amqp_durable_queues = true", Severity.ERROR),
        ("rabbit_quorum_queue = off", "", None),
        ("use_queue_manager = true\nhostname = b", "use_queue_manager = true\nhostname = c", None),
        ("ssl_key_file = /etc/b.pem", "ssl_key_file = /etc/c.pem", None),
        ("hostname = b-heat", "hostname = c-heat", None),
    ],
)
def test_messaging_options_of_engines(one: str, other: str, severity: Severity | None) -> None:
    """Only a declaration is an error; other differences are a note, and a machine's own options nothing."""
    inputs = processes(
        b_engine=f"[oslo_messaging_rabbit]\n{one}\n", c_engine=f"[oslo_messaging_rabbit]\n{other}\n"
    )
    assert found(inputs) - {("warning", "A4-encryption-key-default")} == (
        {(str(severity), "A4-messaging-differs")} if severity else set()
    )


def test_an_api_declares_the_exchange_only() -> None:
    """Durability has to be that of the engine's exchange; the kind of its queues does not matter."""
    durable, quorum = (
        f"[DEFAULT]\nauth_encryption_key = 1\n[oslo_messaging_rabbit]\n{key} = true\n"
        for key in ("amqp_durable_queues", "rabbit_quorum_queue")
    )
    assert found(processes(b_rest=durable, b_engine=quorum)) == set()
    assert found(processes(b_rest="", b_engine=quorum)) == {("error", "A4-messaging-differs")}


def test_the_times_that_apis_wait() -> None:
    """Two REST APIs with different timeouts are a warning; an API and an engine are not compared."""
    wait = "[DEFAULT]\nauth_encryption_key = 1\nrpc_response_timeout = 600\n"
    assert found(processes(b_rest=wait, c_rest="")) == {("warning", "A4-messaging-differs")}
    assert found(processes(b_rest=wait, b_engine="[DEFAULT]\nauth_encryption_key = 1\n")) == set()


@pytest.mark.parametrize(
    ("texts", "shared"),
    [
        ({"b": "hostname = x", "c": "hostname = x"}, True),
        ({"b": "hostname = b-heat", "c": "hostname = c-heat"}, False),
        ({"b": "", "c": ""}, False),
        ({"b_rest": "hostname = x", "c_engine": "hostname = x"}, False),
        ({"b_rest": "hostname = x\nprocessname = p", "c_engine": "hostname = x\nprocessname = p"}, True),
        ({"b_rest": "hostname = x\nprocessname = p", "b_engine": "hostname = x\nprocessname = q"}, False),
        ({"b_rest": "processname = p", "b_engine": "processname = p"}, True),
        ({"b": "hostname = $host", "c": "hostname = $host"}, False),
    ],
)
def test_reply_queues_of_two_processes(texts: dict[str, str], shared: bool) -> None:
    """With the queue manager, machines with one hostname take each other's answers; no change is shown."""
    inputs = processes(**{name: f"{MANAGER}{text}\n" for name, text in texts.items()})
    faults = [fault for fault in audit(inputs).faults if fault.rule == "A4-reply-queue-shared"]
    assert [(fault.severity, fault.changes) for fault in faults] == [(Severity.ERROR, ())] * shared
    off = processes(**{name: f"[oslo_messaging_rabbit]\n{text}\n" for name, text in texts.items()})
    assert not found(off, "A4-reply")


def test_one_name_for_the_engines_of_all_machines() -> None:
    """`host = heat` everywhere is one note; names of their own, or one machine, are none."""
    named = processes(b="[DEFAULT]\nhost = heat\n", c="[DEFAULT]\nhost = heat\n")
    assert [fault.says for fault in audit(named).faults if fault.rule == "A11-engine-name-shared"] == [
        "b, c: host is heat on each of these machines"
    ]
    own = processes(b="[DEFAULT]\nhost = b\n", c="[DEFAULT]\nhost = c\n")
    assert not found(own, "A11-engine-name")
    assert not found(
        processes(b_rest="[DEFAULT]\nhost = x\n", b="[DEFAULT]\nhost = x\n"), "A11-engine-name"
    )


def test_zero_workers_are_those_of_the_processors() -> None:
    """num_engine_workers = 0 is what an absent one is; an API's file does not have it."""
    inputs = processes(b_rest="", b_engine="[DEFAULT]\nnum_engine_workers = 0\n")
    faults = [fault for fault in audit(inputs).faults if fault.rule == "A11-workers-unsaid"]
    assert [(fault.file, fault.line, fault.says) for fault in faults] == [
        ("b_engine.conf", 2, "b: num_engine_workers is 0")
    ]


def test_database_connections_are_those_of_engines() -> None:
    """API processes have no connection to the database, whatever their files say."""
    many = "[DEFAULT]\nnum_engine_workers = 20\n[database]\nmax_pool_size = 5\n"
    assert not found(processes(b_rest=many, b_cfn=many, b_engine=many), "A11-database")
    assert found(processes(b_engine=many, c_engine=many), "A11-database") == {
        ("warning", "A11-database-connections")
    }


@pytest.mark.parametrize(("release", "expected"), [(None, 2), (24, 2), (16, 0)])
def test_old_releases_need_no_credentials_of_cfn(release: int | None, expected: int) -> None:
    """A Heat that cannot send credentials, and whose default policies are the old ones, gets no finding."""
    text = "[ec2authtoken]\nauth_uri = http://10.0.0.5:5000\n"
    inputs = replace(processes(b_cfn=text, b_engine=""), heat_release=release)
    rules = {"A12-ec2-credentials", "A12-cfn-policy"}
    assert len([f for f in audit(inputs).faults if f.rule in rules]) == expected


def test_the_credentials_of_cfn_are_copied_whole() -> None:
    """The service user is copied with its domains, and the URL in use is kept; else nothing is proposed."""
    user = "auth_url = http://k:5000/v3\nusername = heat\npassword = pw\nproject_name = service\n"
    domains = "user_domain_id = default\nproject_domain_id = default\n"
    head = "[ec2authtoken]\nauth_uri = http://k:5000/v2.0\n[keystone_authtoken]\n"

    def changes(text: str) -> dict[str, str]:
        inputs = processes(b_cfn=text)
        assert found(inputs, "A12-ec2-credentials") == {("warning", "A12-ec2-credentials")}
        after = corrected(inputs).texts["b_cfn.conf"].partition("[ec2authtoken]\n")[2].partition("[")[0]
        added = set(after.splitlines()) - set(text.splitlines()[:2])
        return dict(line.split(" = ") for line in added)

    copied = changes(f"{head}auth_type = password\n{user}{domains}")
    assert copied["endpoint_override"] == "http://k:5000"
    assert copied["user_domain_id"] == copied["project_domain_id"] == "default"
    assert copied["password"] == "pw"
    assert changes(f"{head}{user}") == {}
    assert changes(f"{head}auth_type = v3applicationcredential\n{user}") == {}


def test_no_rule_of_a4_proposes_a_change() -> None:
    """Which of two files is right is not in the files."""
    c = clean.heat("10.0.0.3").replace("@10.0.0.1", "@10.0.0.9").replace("0123", "3210")
    faults = audit(clean.inputs(c=c.replace("quorum_queue = false", "quorum_queue = true"))).faults
    assert {fault.rule for fault in faults if fault.gate == "A4"} == {
        "A4-broker-differs",
        "A4-database-differs",
        "A4-encryption-key-differs",
        "A4-messaging-differs",
    }
    assert not any(fault.changes for fault in faults if fault.gate == "A4")


def test_the_query_of_the_broker_has_precedence() -> None:
    """oslo.messaging reads options of its group in the query of transport_url, too."""
    text = "[DEFAULT]\nauth_encryption_key = 1\ntransport_url = rabbit://u:p@h/{}\n[oslo_messaging_rabbit]\n{}\n"
    quorum = "rabbit_quorum_queue=true"
    option = text.format("", quorum)
    assert not found(processes(b=option, c=text.format(f"?{quorum}", "")))
    overridden = processes(b=option, c=text.format("?rabbit_quorum_queue=false", quorum))
    assert found(overridden) == {("error", "A4-messaging-differs")}
