"""deployment.toml: what is read from it, and the one-line errors for mistakes."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from calorimeter.core import deployment as deployments
from calorimeter.core import files, toml
from calorimeter.core.deployment import Consent, address
from calorimeter.core.errors import InputError
from calorimeter.core.urls import HttpUrl

DATABASE = '[database]\nuser = "calorimeter"\npassword = { env = "P" }\n'
ACCOUNT = '[broker]\nuser = "heat"\npassword = { env = "P" }\n'
SMALLEST = """
name = "cloud"
[rest]
url = "http://10.0.0.1:8004/v1"
proxy_section = "rest_api_proxy"
backends = [{ name = "b", address = "10.0.0.2:8004" }, { name = "c", address = "10.0.0.3:8004" }]
"""


def written(tmp_path: Path, text: str) -> Path:
    """A deployment file with `text`."""
    path = tmp_path / "deployment.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_smallest_file_allows_passive_gates_only(tmp_path: Path) -> None:
    """A file with one API is enough; the default consent is passive."""
    found = deployments.read(written(tmp_path, SMALLEST))
    assert [b.name for b in found.rest.backends] == ["b", "c"]
    assert (found.rest.front.host, found.rest.front.port) == ("10.0.0.1", 8004)
    assert found.consent.level is Consent.PASSIVE
    assert found.parts == ()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("[expct]\n", "expct: unknown key 'expct'; valid: "),
        ("[expct]\n", "did you mean 'expect'?"),
        ('[expect]\nbalanse = "source"\n', "expect.balanse: unknown key 'balanse'"),
        (
            '[expect]\nmax_detection_s = "two"\n',
            "expect.max_detection_s: 'two' given; valid: a number of",
        ),
        ('[consent]\nlevel = "invasiv"\n', "did you mean 'invasive'?"),
        (
            '[engines]\nnames = ["e"]\nworkers = 0\n',
            "engines[1].workers: 0 given; valid: a whole number from",
        ),
        ("[broker]\n", "broker.nodes: is missing"),
        ("[database]\n", "database.url: is missing"),
        (f'{DATABASE}url = "tcp://a"\n', "database.url: 'tcp://a' given; valid: tcp://HOST:PORT"),
        (f'{DATABASE}url = "mysql://a"\n', "a URL here must start with unix:// or tcp://"),
        (f'{DATABASE}url = "tcp://a:0"\n', "valid: a whole number from 1 to 65535"),
        (f'{DATABASE}url = "tcp://u:hunter2@a:1"\n', "must not contain a password"),
        (f'{DATABASE}url = "unix:///s"\nname = "{"h" * 65}"\n', "at most 64 characters"),
        (f'{DATABASE}url = "unix:///s"\nschema = "heat"\n', "database.schema: unknown key 'schema'"),
        (f"{ACCOUNT}nodes = []\n", "broker.nodes: 0 given; valid: 1 or more"),
        (f'{ACCOUNT}nodes = [{{ name = "a" }}]\n', "broker.nodes[1]: give amqp = "),
        (f'{ACCOUNT}nodes = [{{ management = "http://a" }}]\n', "broker: no node has amqp = "),
        (
            f'{ACCOUNT}nodes = [{{ name = "a", amqp = "amqp://a" }}, {{ name = "a", amqp = "amqp://b" }}]',
            "broker: two nodes are named 'a'",
        ),
        ('[[proxy]]\nstats = ["ftp://x"]\n', "proxy[1].stats[1]: 'ftp://x' given; a URL here must start"),
        (
            "[cfn]\nurl = 'http://10.0.0.1:8000'\nproxy_section = 'c'\nbackends = []\n",
            "0 given; valid: 1 or more",
        ),
        ("x = \n", "is not valid TOML"),
        (
            "[expect]\nmax_detection_s = inf\n",
            "expect.max_detection_s: inf given; valid: a number of",
        ),
        ('[expect.rest]\nbalance = "sorce"\n', "expect.rest.balance: 'sorce' given; valid: first, "),
        ('[expect]\nbalance = "sorce"\n', "did you mean 'source'?"),
        (
            '[expect.cfn]\nhash_type = "consistnt"\n',
            "valid: consistent, map-based; did you mean 'consistent'?",
        ),
        (
            "[expect.rest]\nweights = { b = 300 }\n",
            "expect.rest.weights.b: 300 given; valid: a whole number from 0 to 256",
        ),
        (
            "[expect.rest]\nweights = { B = 2 }\n",
            "expect.rest.weights has 'B', which is no backend; valid: b,",
        ),
        ("[expect]\nweights = { bb = 2 }\n", "is no backend; valid: b, c; did you mean 'b'?"),
        (
            '[[proxy]]\nname = "lb-1"\n[[parts]]\nname = "P"\nkind = "host"\nproxy = "lb1"\n',
            "parts: 'P' has proxy 'lb1', which is none; valid: lb-1; did you mean 'lb-1'?",
        ),
        ("[[proxy]]\n[proxy.vrrp]\npriority = 0\n", "0 given; valid: a whole number from 1 to 255"),
        ('[[proxy]]\nstats = ["tcp://a"]\n', "proxy[1].stats[1]: 'tcp://a' given; valid: tcp://HOST:PORT"),
        ('[[proxy]]\nlogs = ["udp://a"]\n', "'udp://a' given; valid: udp://HOST:PORT"),
        ('[[proxy]]\nlogs = ["file://x"]\n', "'file://x' given; valid: file:///PATH, with three slashes"),
        ('[[proxy]]\nstats = ["unix://"]\n', "'unix://' given; valid: unix:///PATH"),
        ('[broker]\namqp = "amqp://a,b"\n', "'amqp://a,b' given; valid: amqp://HOST:PORT of one node"),
        ('[broker]\namqp = "amqps://a/heat"\n', "valid: amqps://HOST:PORT of one node; the vhost is a key"),
        (
            '[[heat_conf]]\nhost = " "\nfiles = ["x"]\n',
            "heat_conf[1].host: ' ' given; a name must not be blank",
        ),
        ('[identity]\ncloud = ""\n', "identity.cloud: '' given; a name must not be blank"),
    ],
)
def test_wrong_file_gets_one_clear_line(tmp_path: Path, extra: str, message: str) -> None:
    """The error is one line: where, what was given, what is valid, the nearest match."""
    path = written(tmp_path, SMALLEST + extra)
    with pytest.raises(InputError) as refused:
        deployments.read(path)
    line = str(refused.value)
    assert line.startswith(f"{path}")
    assert message in line
    assert "\n" not in line


def test_password_in_a_url_is_refused_and_not_shown(tmp_path: Path) -> None:
    """A URL with a password is refused, and the error does not show the password."""
    text = SMALLEST + '[broker]\namqp = "amqp://heat:hunter2@10.0.0.1"\nuser="heat"\npassword={env="P"}\n'
    with pytest.raises(InputError, match="must not contain a password") as refused:
        deployments.read(written(tmp_path, text))
    assert "hunter2" not in str(refused.value)


def test_password_in_place_of_a_reference_is_refused_and_not_shown(tmp_path: Path) -> None:
    """A password in place of a reference is refused, and the error does not show it."""
    text = SMALLEST + '[broker]\namqp = "amqp://10.0.0.1"\nuser="heat"\npassword="hunter2"\n'
    with pytest.raises(InputError, match="broker.password: a value that is not shown here") as refused:
        deployments.read(written(tmp_path, text))
    assert "hunter2" not in str(refused.value)
    assert 'name where the secret is, { env = "NAME" }' in str(refused.value)


def test_backends_of_one_name_are_refused(tmp_path: Path) -> None:
    """Backends need different names, because verdicts name them."""
    text = SMALLEST.replace('name = "c"', 'name = "b"')
    with pytest.raises(InputError, match="two entries named 'b'"):
        deployments.read(written(tmp_path, text))


def test_log_file_and_stats_socket_have_no_host(tmp_path: Path) -> None:
    """The URLs of a log file and of a Unix socket have a path only."""
    more = '[[proxy]]\nstats = ["unix:///run/haproxy.sock"]\nlogs = ["file:///var/log/haproxy.log"]\n'
    (proxy,) = deployments.read(written(tmp_path, SMALLEST + more)).proxy
    assert proxy.logs == ("file:///var/log/haproxy.log",)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """The error for a missing file names the file."""
    with pytest.raises(InputError, match="nowhere.toml: cannot be read"):
        deployments.read(tmp_path / "nowhere.toml")


def test_addresses_of_both_families_are_read() -> None:
    """HOST:PORT is written as it was read, with IPv6 addresses in brackets."""
    assert str(address("10.0.0.1:8004")) == "10.0.0.1:8004"
    assert str(address("[fe80::1]:8004")) == "[fe80::1]:8004"


@pytest.mark.parametrize(
    "text", ["10.0.0.1", ":80", "h:0", "h:65536", "h:x", "[zz::]:80", "a..b:80", f"{'h' * 64}:80", "h\n:80"]
)
def test_invalid_addresses_are_refused(text: str) -> None:
    """An address needs a host and a port from 1 to 65535."""
    with pytest.raises(ValueError, match="address|a host is"):
        address(text)


@pytest.mark.parametrize("host", ["a..b", "h" * 64, "{" * 900, ".".join(["h" * 60] * 5)])
def test_a_host_that_no_resolver_takes_is_refused(host: str) -> None:
    """Python's resolver raises UnicodeError for such a name, not OSError."""
    with pytest.raises(ValueError, match="a host is an IP address, or a name"):
        TypeAdapter(HttpUrl).validate_python(f"http://{host}:8004/v1")
    for good in ("10.0.0.1", "[fe80::1%25eth0]", "heat.example.org.", "bücher.example", "a_b-c"):
        TypeAdapter(HttpUrl).validate_python(f"http://{good}:8004/v1")


def test_consent_includes_lower_levels() -> None:
    """`invasive` includes `load`; `passive` does not."""
    assert Consent.INVASIVE.allows(Consent.LOAD)
    assert not Consent.PASSIVE.allows(Consent.LOAD)


def test_a_relative_ca_file_is_relative_to_the_deployment_file(tmp_path: Path) -> None:
    """It does not depend on the folder that the suite is started in."""
    file = written(tmp_path, SMALLEST + '[tls]\nca_file = "ca.pem"\n')
    files.write(tmp_path / "ca.pem", "an authority")
    tls = deployments.read(file).tls
    assert tls.for_requests == str(tmp_path / "ca.pem")
    assert tls.model_copy(update={"verify": False}).for_requests is False
    assert deployments.read(file).path == file


def test_engines_of_an_older_file_are_still_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table [engines] with names means a group of hosts, and one line says what is new."""
    monkeypatch.setattr(toml, "_said", set())
    path = written(tmp_path, SMALLEST + '[engines]\nnames = ["a", "b"]\nworkers = 2\n')
    assert deployments.read(path).engine_consumers == {"a": 2, "b": 2}
    (record,) = caplog.records
    assert record.message.startswith(
        f"{path}: [engines] names = […] is read as [[engines]] hosts = […]; new"
    )


def test_engines_of_one_host_are_counted_by_processes_and_workers(tmp_path: Path) -> None:
    """A host of two heat-engine with four workers each has eight consumers; groups of hosts are alike."""
    more = '[[engines]]\nhost = "a"\nprocesses = 2\nworkers = 4\n[[engines]]\nhosts = ["b", "c"]\n'
    found = deployments.read(written(tmp_path, SMALLEST + more))
    assert found.engine_consumers == {"a": 8, "b": 1, "c": 1}
    assert [str(group) for group in found.engines] == ["a: 2 × 4 workers", "b, c: 1 worker each"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[[engines]]\nworkers = 2\n", 'engines[1]: give host = "NAME", or hosts = ["NAME", …]'),
        ('[[engines]]\nhost = "a"\nhosts = ["b"]\n', 'engines[1]: give host = "NAME", or hosts'),
        ('[[engines]]\nhosts = ["a", ""]\n', "engines[1].hosts[2]: '' given; a name must not be blank"),
        ('[[engines]]\nhost = "a"\n[[engines]]\nhosts = ["a"]\n', "engines has two entries named 'a'"),
    ],
)
def test_wrong_engines_get_one_clear_line(tmp_path: Path, table: str, message: str) -> None:
    """A group names its hosts in one way, and no host is in two groups."""
    with pytest.raises(InputError) as refused:
        deployments.read(written(tmp_path, SMALLEST + table))
    assert message in str(refused.value)


def test_each_api_can_be_balanced_in_its_own_way(tmp_path: Path) -> None:
    """[expect.cfn] replaces what [expect] says for both; unsaid, the balance is the guide's."""
    more = '[expect]\nweights = { b = 2 }\n[expect.cfn]\nbalance = "leastconn"\nweights = { b = 3 }\n'
    wanted = deployments.read(written(tmp_path, SMALLEST + more)).expect
    assert (wanted.of("rest").balance, wanted.of("rest").weights) == ("source", {"b": 2})
    assert (wanted.of("cfn").balance, wanted.of("cfn").weights) == ("leastconn", {"b": 3})
    assert (wanted.own_balance("rest"), wanted.own_balance("cfn")) == (None, "leastconn")


BROKER = SMALLEST + ACCOUNT


@pytest.mark.parametrize(
    ("keys", "nodes"),
    [
        ('amqp = "amqp://a"', [("amqp://a", None)]),
        ('amqp = ["amqp://a", "amqp://b"]', [("amqp://a", None), ("amqp://b", None)]),
        (
            'amqp = ["amqp://a", "amqp://b"]\nmanagement = ["http://b:15672", "http://a:15672"]',
            [("amqp://a", "http://a:15672"), ("amqp://b", "http://b:15672")],
        ),
        (
            'amqp = ["amqp://a", "amqp://b"]\nmanagement = "http://vip:15672"',
            [("amqp://a", "http://vip:15672"), ("amqp://b", None)],
        ),
        (
            'amqp = "amqp://vip"\nmanagement = ["http://a", "http://b"]',
            [("amqp://vip", "http://a"), (None, "http://b")],
        ),
        (
            'amqp = ["amqp://h:1", "amqp://h:2"]\nmanagement = ["http://h:3", "http://h:4"]',
            [("amqp://h:1", "http://h:3"), ("amqp://h:2", "http://h:4")],
        ),
    ],
)
def test_older_keys_of_the_broker_are_read_as_nodes(
    tmp_path: Path, keys: str, nodes: list[tuple[str | None, str | None]]
) -> None:
    """Addresses of one host are one node's; the others are paired in order."""
    broker = deployments.read(written(tmp_path, f"{BROKER}{keys}\n")).broker
    assert broker and [(node.amqp, node.management) for node in broker.nodes] == nodes


def test_nodes_of_the_broker_have_names(tmp_path: Path) -> None:
    """A part is the node of its whole name, or of the host in it."""
    nodes = 'nodes = [{ name = "rabbit@h1", amqp = "amqp://a" }, { amqp = "amqp://b" }]\n'
    broker = deployments.read(written(tmp_path, BROKER + nodes)).broker
    assert broker and broker.amqp == ("amqp://a", "amqp://b") and broker.management == ()
    assert broker.nodes[0].runs_on("h1") and broker.nodes[0].runs_on("rabbit@h1")
    assert not broker.nodes[0].runs_on("rabbit") and not broker.nodes[1].runs_on("h1")
