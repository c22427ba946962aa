"""`calorimeter generate`: files in which the audit finds nothing and which HAProxy accepts."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.cli import COMMANDS
from calorimeter.commands import configuration
from calorimeter.config import audit
from calorimeter.config.audit import HeatFiles, Inputs
from calorimeter.config.generate.generated_files import heat_files, instructions, new_secrets
from calorimeter.config.generate.proxy_files import proxy_files
from calorimeter.config.generate.topology import Host, Topology
from calorimeter.config.haproxy import program
from calorimeter.config.heat import heat_conf
from calorimeter.config.named_files import read_texts
from calorimeter.core import deployment as deployments
from calorimeter.core import toml
from calorimeter.core.errors import InputError

SAMPLE = """\
proxy = "10.0.0.1"
[[hosts]]
name = "B"
address = "10.0.0.2"
[[hosts]]
name = "C"
address = "10.0.0.3"
rest = 2
"""
SECRETS = new_secrets({})


def inputs(topology: Topology) -> Inputs:
    """The generated files, as an audit reads them."""
    proxies = [file for file in proxy_files(topology) if file.name.startswith("apis-proxy")]
    return Inputs(
        proxies=tuple((proxy.name, ((proxy.name, proxy.text),)) for proxy in proxies),
        heat=tuple(
            HeatFiles(file.name, ((file.name, file.text),)) for file in heat_files(topology, SECRETS)
        ),
    )


def generate(folder: Path, text: str = SAMPLE, *more: str) -> Result:
    """Run the command on a topology."""
    file = folder / "topology.toml"
    file.write_text(text)
    return CliRunner().invoke(
        configuration.generate, [str(file), "-o", str(folder / "out"), *more], standalone_mode=False
    )


_HOSTS = st.lists(
    st.builds(
        Host,
        name=st.just("x"),
        address=st.just("x"),
        rest=st.integers(0, 3),
        cfn=st.integers(0, 3),
        engines=st.integers(0, 3),
        workers=st.integers(1, 8),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow  # 25 deployments, generated and audited
@settings(max_examples=25)
@given(hosts=_HOSTS, ipv6=st.booleans(), rpc=st.integers(1, 600), maxconn=st.integers(2, 99999))
def test_the_audit_finds_nothing_in_generated_files(
    hosts: list[Host], ipv6: bool, rpc: int, maxconn: int
) -> None:
    """The files of any topology are clean."""
    prefix = "fd00::" if ipv6 else "10.0.0."
    placed = tuple(
        host.model_copy(update={"name": f"host{n}", "address": f"{prefix}{n + 2}"})
        for n, host in enumerate(hosts)
    )
    if not any(host.rest for host in placed) or not any(host.engines for host in placed):
        return
    topology = Topology(
        proxy=f"{prefix}1",
        hosts=placed,
        rpc_response_timeout_s=rpc,
        maxconn=maxconn,
        database_connections=1000,
    )
    limited = replace(inputs(topology), database_connections=1000)
    assert [(f.rule, f.says) for f in audit.audit(limited).faults] == []


PAIR = """\
virtual_address = "10.0.0.250"
brokers = ["10.0.0.21:5672", "10.0.0.22:5672", "10.0.0.23:5672"]
database = "10.0.0.40:3306"
keystone = "https://keystone.example.org/identity"
memcached = "10.0.0.40:11211"
[tls]
certificate = "CERTIFICATE"
[[proxies]]
name = "p1"
address = "10.0.0.251"
interface = "eth0"
[[proxies]]
name = "p2"
address = "10.0.0.252"
interface = "eth1"
[[hosts]]
name = "B"
address = "10.0.0.2"
engines = 2
[[hosts]]
name = "C"
address = "10.0.0.3"
"""


@pytest.mark.parametrize("without", ["[tls]", "brokers", "engines", "nothing"])
def test_the_audit_finds_nothing_in_a_pair_of_proxies(without: str) -> None:
    """Two proxies, TLS, several brokers and engines on a host: the files are clean in every combination."""
    text = PAIR.replace("CERTIFICATE", "/etc/haproxy/heat.pem")
    cut = {
        "[tls]": ('[tls]\ncertificate = "/etc/haproxy/heat.pem"\n', ""),
        "brokers": ('["10.0.0.21:5672", "10.0.0.22:5672", "10.0.0.23:5672"]', '["10.0.0.21:5672"]'),
        "engines": ("engines = 2\n", ""),
    }
    old, new = cut.get(without, ("", ""))
    assert old in text
    topology = toml.parse(text.replace(old, new), Topology, where="topology.toml")
    limited = replace(
        inputs(topology),
        database_connections=topology.database_connections,
        rabbitmq_release=(4, 3) if topology.quorum else None,
    )
    assert [(f.rule, f.says) for f in audit.audit(limited).faults] == []


def test_haproxy_accepts_the_files_of_a_pair(tmp_path: Path, certificate: Path) -> None:
    """`haproxy -c` has no messages about the file of either proxy, with a certificate."""
    result = generate(tmp_path, PAIR.replace("CERTIFICATE", str(certificate)))
    assert result.return_value == 0, result.exception
    for name in ("p1", "p2"):
        assert program.messages([tmp_path / f"out/apis-proxy-{name}.conf"]) == ()


def test_a_pair_of_proxies_shares_one_address() -> None:
    """Each proxy binds the virtual address, and its keepalived prefers the first and names the others."""
    text = PAIR.replace("CERTIFICATE", "/etc/haproxy/heat.pem")
    topology = toml.parse(text, Topology, where="topology.toml")
    files = {file.name: file.text for file in proxy_files(topology)}
    assert list(files) == [
        "apis-proxy-p1.conf",
        "keepalived-p1.conf",
        "apis-proxy-p2.conf",
        "keepalived-p2.conf",
    ]
    assert "bind 10.0.0.250:8004 transparent ssl crt /etc/haproxy/heat.pem\n" in files["apis-proxy-p1.conf"]
    second = files["keepalived-p2.conf"]
    for line in (
        "priority 101",
        "unicast_src_ip 10.0.0.252",
        "10.0.0.251",
        "10.0.0.250 dev eth1",
        "nopreempt",
    ):
        assert f"{line}\n" in second
    assert "priority 102\n" in files["keepalived-p1.conf"]
    assert second.count("{") == second.count("}")
    started = list(instructions(topology))
    assert started[:2] == ["p1: haproxy -f apis-proxy-p1.conf", "p1: keepalived -f keepalived-p1.conf"]


def test_several_brokers_and_tls_in_heat_conf() -> None:
    """heat.conf has all brokers, quorum queues, and https links to the virtual address."""
    text = PAIR.replace("CERTIFICATE", "/etc/haproxy/heat.pem")
    topology = toml.parse(text, Topology, where="topology.toml")
    file = next(iter(heat_files(topology, SECRETS)))
    conf = heat_conf.parse("B", (file.name, file.text))
    assert [node.host for node in conf.transport.hosts] == ["10.0.0.21", "10.0.0.22", "10.0.0.23"]
    for group, key, expected in (
        ("oslo_messaging_rabbit", "rabbit_quorum_queue", "true"),
        ("oslo_middleware", "enable_proxy_headers_parsing", "true"),
        ("DEFAULT", "heat_metadata_server_url", "https://10.0.0.250:8000"),
    ):
        value = conf.get(key, group)
        assert value
        assert value.text == expected


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a self-signed certificate and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=heat"
    subprocess.run(
        ["openssl", *words.split(), "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=60,
    )
    both = folder / "heat.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('virtual_address = "10.0.0.250"', "", "with a virtual_address that they share"),
        ('virtual_address = "10.0.0.250"', 'proxy = "10.0.0.250"', "either proxy = ADDRESS, or several"),
        ('"10.0.0.252"', '"10.0.0.250"', "share 10.0.0.250"),
        ('"p2"', '"p1"', "share p1"),
        ('database = "10.0.0.40:3306"\n', "", "set the address of: database"),
        ("10.0.0.22:5672", "10.0.0.21:5672", "two brokers have the address 10.0.0.21:5672"),
        ('["10.0.0.21:5672", ', '["10.0.0.21:5672,x:1", ', "several brokers are a list"),
        ("10.0.0.21:5672", "u@h:5672", "letters, digits"),
        ("brokers =", 'broker = "h:5672"\nbrokers =', "either broker or brokers"),
        ("CERTIFICATE", "heat.pem", "absolute"),
        ('interface = "eth1"\n', "", "interface"),
    ],
)
def test_impossible_pairs(tmp_path: Path, old: str, new: str, message: str) -> None:
    """An impossible pair of proxies is an error of one line."""
    assert old in PAIR
    result = generate(tmp_path, PAIR.replace(old, new).replace("CERTIFICATE", "/etc/heat.pem"))
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_broker_password_with_a_slash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No encoding makes Heat's libraries accept a slash in the password of the broker."""
    monkeypatch.setenv("BROKER", "a/b")
    result = generate(
        tmp_path, SAMPLE.replace("[[hosts]]", '[secrets]\nbroker = { env = "BROKER" }\n[[hosts]]', 1)
    )
    assert "has a slash" in str(result.exception)
    assert "a/b" not in str(result.exception)


def test_haproxy_accepts_the_generated_file(tmp_path: Path) -> None:
    """`haproxy -c` has no messages."""
    result = generate(tmp_path)
    assert result.return_value == 0, result.exception
    assert program.messages([tmp_path / "out/apis-proxy.conf"]) == ()


def test_the_guides_sample() -> None:
    """Machines A, B and C have the guide's addresses, and the heat.conf of each host points to A."""
    topology = toml.parse(SAMPLE, Topology, where="topology.toml")
    (proxy,) = (file.text for file in proxy_files(topology))
    for line in (
        "bind 10.0.0.1:8004",
        "bind 10.0.0.1:8000",
        "server rest-B 10.0.0.2:8004",
        "10.0.0.3:8000",
    ):
        assert line in proxy
    b, c, again = heat_files(topology, SECRETS)
    assert (b.name, c.name, again.name) == ("heat-B.conf", "heat-C.conf", "heat-C-2.conf")
    conf = heat_conf.parse("B", (b.name, b.text))
    assert conf.listener("rest").text == "10.0.0.2:8004"
    assert conf.listener("cfn").text == "10.0.0.2:8000"
    assert conf.transport.hosts[0].host == "10.0.0.1"
    assert conf.transport.hosts[0].password == SECRETS["broker"]


def test_several_apis_on_a_host_have_files_and_ports_of_their_own() -> None:
    """As in the guide, each further API has a copy of heat.conf with a unique port."""
    hosts = (Host(name="B", address="10.0.0.2", rest=3, cfn=1, engines=2),)
    topology = Topology(proxy="10.0.0.1", hosts=hosts)
    confs = [heat_conf.parse(f.name, (f.name, f.text)) for f in heat_files(topology, SECRETS)]
    assert [conf.listener("rest").port for conf in confs] == [8004, 8014, 8024]
    assert [conf.listener("cfn").value is not None for conf in confs] == [True, False, False]
    started = list(instructions(topology))
    assert started[3] == "B: heat-engine --config-file=heat-B.conf  (2 times)"
    assert started[-1] == "B: heat-api --config-file=heat-B-3.conf"


def test_files_with_passwords_are_private_and_secrets_are_kept(tmp_path: Path) -> None:
    """Modes are 600, no password is printed, and a second call keeps the passwords."""
    result = generate(tmp_path)
    before = (tmp_path / "out/heat-B.conf").read_text()
    kept = (tmp_path / "out/secrets.toml").read_text()
    for name in ("heat-B.conf", "heat-C.conf", "secrets.toml"):
        assert stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) == 0o600
    secret = kept.splitlines()[1].partition('"')[2].rstrip('"')
    assert secret in before
    assert secret not in result.output
    assert isinstance(generate(tmp_path).exception, InputError)
    assert generate(tmp_path, SAMPLE, "--force").return_value == 0
    assert (tmp_path / "out/heat-B.conf").read_text() == before


def test_given_secrets_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that the topology refers to is used, and quoted in URLs."""
    monkeypatch.setenv("BROKER", "a@b:$c")
    text = SAMPLE.replace("[[hosts]]", '[secrets]\nbroker = { env = "BROKER" }\n[[hosts]]', 1)
    assert generate(tmp_path, text).return_value == 0
    conf = heat_conf.parse("B", *read_texts(tmp_path / "out/heat-B.conf", "*.conf"))
    assert conf.transport.hosts[0].password == "a@b:$c"


def test_what_was_generated_can_be_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`describe` reads the generated files and writes a deployment that reads back."""
    generate(tmp_path)
    monkeypatch.chdir(tmp_path / "out")
    words = ["--proxy", "apis-proxy.conf", "--heat-conf", "B=heat-B.conf", "--heat-conf", "C=heat-C.conf"]
    CliRunner().invoke(configuration.describe, words, standalone_mode=False)
    deployment = deployments.read(Path("deployment.toml"))
    assert {group.workers for group in deployment.engines} == {4}
    assert deployment.proxy[0].checks is not None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "C"', 'name = "B"', "two hosts are named 'B'"),
        ("10.0.0.3", "10.0.0.2", "two hosts have the address 10.0.0.2"),
        ("10.0.0.3", "10.0.0.1", "C has the proxy's address"),
        ("10.0.0.3", "10.0.0.300", "does not appear to be an IPv4 or IPv6 address"),
        ('name = "C"', 'name = "../C"', "letters, digits"),
        ('address = "10.0.0.3"', 'adress = "10.0.0.3"', "did you mean 'address'"),
        ('proxy = "10.0.0.1"', 'proxy = "10.0.0.1"\nrest_port = 8010', "multiple of 10"),
        ('proxy = "10.0.0.1"', 'proxy = "10.0.0.1"\nlog = "a\\nb"', "one line"),
        ('name = "B"', 'name = "C-2"', "heat-C-2.conf"),
        ('name = "B"', 'name = "B"\nworkers = 99', "database_connections are too few"),
    ],
)  # fmt: skip
def test_impossible_topologies(tmp_path: Path, old: str, new: str, message: str) -> None:
    """An impossible topology is an error of one line with the reason, and nothing is written."""
    assert old in SAMPLE
    result = generate(tmp_path, SAMPLE.replace(old, new))
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_the_command_is_in_the_table() -> None:
    """`calorimeter generate` is a command."""
    assert COMMANDS["generate"][0] == "calorimeter.commands.configuration:generate"
