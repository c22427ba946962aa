"""`calorimeter describe` and `calorimeter audit`, as an operator calls them."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.cli import COMMANDS
from calorimeter.commands import configuration
from calorimeter.config import named_files
from calorimeter.config.audit import HeatFiles, Inputs
from calorimeter.config.describe.deployment_from_files import describe
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.core import deployment as deployments
from calorimeter.core.deployment import Checks
from calorimeter.core.errors import InputError
from calorimeter.core.expect import Expect
from calorimeter.core.login.identities import Identity
from calorimeter.core.verdict import Outcome
from calorimeter.core.verdict import read as read_verdicts
from tests.config.audit import clean
from tests.places import GUIDE

IDENTITY = ("--auth-url", "http://10.0.0.1:5000", "--username", "demo", "--project", "demo")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the guide's files and files without faults."""
    for file in GUIDE.glob("*.conf"):
        shutil.copy(file, tmp_path)
    (tmp_path / "clean.cfg").write_text(clean.PROXY)
    (tmp_path / "clean-b.conf").write_text(clean.heat("10.0.0.2"))
    (tmp_path / "clean-c.conf").write_text(clean.heat("10.0.0.3"))
    monkeypatch.chdir(tmp_path)
    for name in ("AUTH_URL", "USERNAME", "PROJECT_NAME", "REGION_NAME", "CLOUD", "AUTH_TYPE"):
        monkeypatch.delenv(f"OS_{name}", raising=False)
    return tmp_path


def call(name: str, *words: str) -> Result:
    """Call a command as `calorimeter` does."""
    command = {"audit": configuration.audit, "describe": configuration.describe}[name]
    return CliRunner().invoke(command, words, standalone_mode=False)


def described(*more: str) -> Result:
    """Describe the guide's files."""
    heat = ("--heat-conf", "B=heat-b.conf", "--heat-conf", "C=heat-c.conf")
    return call("describe", "--proxy", "apis-proxy.conf", *heat, *more)


def test_the_commands_are_in_the_table() -> None:
    """`calorimeter describe` and `calorimeter audit` are commands."""
    assert COMMANDS["describe"][0] == "calorimeter.commands.configuration:describe"
    assert COMMANDS["audit"][0] == "calorimeter.commands.configuration:audit"


@pytest.mark.usefixtures("here")
def test_the_guides_files_are_a_deployment() -> None:
    """The guide's files give a deployment.toml that can be read, with all that the files say."""
    result = described(*IDENTITY, "--stats", "unix:///run/haproxy.sock", "--engine-workers", "2")
    assert result.return_value == 0, result.output
    deployment = deployments.read(Path("deployment.toml"))
    assert deployment.rest.url == "http://10.0.0.1:8004/v1"
    assert [b.address for b in deployment.rest.backends] == ["10.0.0.2:8004", "10.0.0.3:8004"]
    assert deployment.cfn is not None
    assert deployment.cfn.proxy_section == "cfn_api_proxy"
    assert deployment.broker is not None
    assert deployment.broker.amqp == ("amqp://10.0.0.1:5672",)
    assert deployment.reveal(deployment.broker.password) == "admin"
    assert deployment.engine_consumers == {"B": 2, "C": 2}
    assert deployment.proxy[0].checks is None
    assert deployment.expect.timeout_server_s == 60.0
    assert deployment.consent.level == "passive"


def test_a_server_with_ssl_is_a_backend_that_speaks_tls(here: Path) -> None:
    """What gates ask it past the proxy goes through TLS, too."""
    file = here / "apis-proxy.conf"
    server = "server rest-server-1 10.0.0.2:8004"
    text = file.read_text(encoding="utf-8")
    assert server in text
    file.write_text(text.replace(server, f"{server} ssl verify required ca-file /ca.pem"), encoding="utf-8")
    assert described(*IDENTITY).return_value == 0
    rest = deployments.read(here / "deployment.toml").rest
    assert [backend.tls for backend in rest.backends] == [True, False]


@pytest.mark.usefixtures("here")
def test_each_missing_value_is_named() -> None:
    """Each missing value is named with the option that gives it, and is a comment in the file."""
    result = described()
    lines = result.stderr.splitlines()
    missing = [line.split(":")[1].strip() for line in lines if line.startswith("missing: ")]
    assert missing == [
        "proxy.stats",
        "proxy.logs",
        "broker.management",
        "engines.workers",
        "identity.username",
        "identity.project",
    ]
    again = lines[lines.index("with all of them (put your values in):") + 1 :]
    assert again[0].startswith("calorimeter describe ") and again[-1].endswith("--force")
    assert all(line.endswith(" \\") for line in again[:-1])
    command = " ".join(line.removesuffix("\\").strip() for line in again)
    assert "--management-url http://10.0.0.1:15672" in command
    assert "--username NAME --project NAME" in command  # a command, without the words of the lines above
    text = Path("deployment.toml").read_text()
    assert '# [identity]\n# auth_url = "http://10.0.0.1:5000/v3"\n' in text
    assert deployments.read(Path("deployment.toml")).identity is None


@pytest.mark.usefixtures("here")
def test_cloud_is_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--cloud` or `$OS_CLOUD` is all that is needed; its certificates become `[tls]`."""
    Path("clouds.yaml").write_text(
        "clouds: {prod: {cacert: /etc/ca.pem, auth: {auth_url: 'https://k:5000/v3', username: u,"
        " password: s3cr3t, project_name: p}}}\n"
    )
    monkeypatch.setenv("OS_CLOUD", "prod")
    result = described("--clouds-file", "clouds.yaml")
    assert result.return_value == 0, result.output
    deployment = deployments.read(Path("deployment.toml"))
    assert deployment.identity == Identity(cloud="prod", clouds_file=Path("clouds.yaml"))
    assert deployment.tls.ca_file == Path("/etc/ca.pem")
    assert "identity." not in result.stderr
    assert "s3cr3t" not in Path("deployment.toml").read_text() + result.output + result.stderr


@pytest.mark.usefixtures("here")
def test_cloud_that_cannot_be_read_is_missing() -> None:
    """The file names it all the same, and one line says where it was looked for."""
    result = described("--cloud", "prod", "--clouds-file", "none.yaml")
    assert result.return_value == 0, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("missing: identity.")]
    assert line.startswith("missing: identity.cloud: identity.clouds_file: none.yaml does not exist")
    identity = deployments.read(Path("deployment.toml")).identity
    assert identity is not None and identity.cloud == "prod"


@pytest.mark.usefixtures("here")
def test_passwords_are_in_a_file_of_their_own() -> None:
    """The secrets file has mode 600, and no password is in deployment.toml or on the terminal."""
    result = described(*IDENTITY, "-o", "prod.toml")
    secrets = Path("prod.secrets.toml")
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert 'broker_password = "admin"' in secrets.read_text()
    assert "admin" not in Path("prod.toml").read_text()
    assert "admin" not in result.output + result.stderr
    assert not list(Path().glob(".*partial"))


@pytest.mark.usefixtures("here")
def test_existing_files_are_not_replaced_without_force() -> None:
    """A second description is refused unless --force is given."""
    described()
    before = Path("deployment.toml").read_text()
    result = described("--name", "other")
    assert isinstance(result.exception, InputError)
    assert Path("deployment.toml").read_text() == before
    assert described("--name", "other", "--force").return_value == 0


@pytest.mark.usefixtures("here")
def test_a_described_deployment_can_be_audited() -> None:
    """The audit of deployment.toml and the audit of the files that it names find the same."""
    described(*IDENTITY)
    by_name = call("audit", "deployment.toml", "--format", "json")
    by_files = call("audit", "apis-proxy.conf", "B=heat-b.conf", "heat-c.conf", "--format", "json")
    assert by_name.return_value == by_files.return_value == 1
    found = [
        [(f["id"], f["file"], f["line"]) for f in json.loads(result.output)["findings"]]
        for result in (by_name, by_files)
    ]
    assert found[0] == found[1]
    assert ":admin@" not in by_name.output


@pytest.mark.usefixtures("here")
def test_exit_status_and_output_of_clean_files() -> None:
    """Files without faults give exit status 0 and one line."""
    result = call("audit", "clean.cfg", "B=clean-b.conf", "C=clean-c.conf")
    assert (result.return_value, result.output) == (0, "Nothing found in 3 files.\n")


@pytest.mark.usefixtures("here")
def test_the_audit_writes_a_patch_and_sarif() -> None:
    """--patch writes all changes with mode 600, -o the report."""
    call("audit", "apis-proxy.conf", "--patch", "p", "--format", "sarif", "-o", "r.sarif")
    assert stat.S_IMODE(Path("p").stat().st_mode) == 0o600
    assert "+    hash-type consistent" in Path("p").read_text()
    assert json.loads(Path("r.sarif").read_text())["version"] == "2.1.0"


def test_bytes_that_are_not_utf8_are_shown(here: Path) -> None:
    """A comment in another encoding stops neither command; describe refuses a name that it would copy."""
    file = here / "apis-proxy.conf"
    file.write_bytes(file.read_bytes().replace(b"log  global", b"log  global # caf\xe9"))
    for form in ("text", "json", "sarif"):
        result = call("audit", "apis-proxy.conf", "--format", form, "--patch", "p")
        assert result.return_value == 1
        assert "caf\ufffd" in result.output or form == "sarif"
    assert b"caf\xe9" in Path("p").read_bytes()
    assert described(*IDENTITY).exception is None
    Path("deployment.toml").read_bytes().decode()
    file.write_bytes(file.read_bytes().replace(b"server rest-server-1", b"server r\xe9st-1"))
    assert "a password that is not UTF-8 text" in str(described("--force").exception)


@pytest.mark.usefixtures("here")
def test_a_waived_gate_is_waived_in_the_deployment() -> None:
    """`[waive]` of deployment.toml counts for the audit."""
    described(*IDENTITY)
    with Path("deployment.toml").open("a") as file:
        file.write("\n[waive]\n" + "".join(f'A{n} = "known"\n' for n in range(1, 13)))
    assert call("audit", "deployment.toml").return_value == 0


def test_the_verdicts_of_the_gates_join_a_run(here: Path) -> None:
    """With --run the gates A1 to A12 are in the run's verdicts.json."""
    run = here / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    call("audit", "apis-proxy.conf", "B=heat-b.conf", "C=heat-c.conf", "--run", "run")
    verdicts = read_verdicts(run / "verdicts.json")
    assert verdicts.of("A6").judgement.outcome is Outcome.FAIL
    assert verdicts.of("A1").judgement.outcome is Outcome.PASS


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no file given"),
        (("nowhere.conf",), "cannot be read"),
        (("/etc/passwd",), "is neither"),
        (("--heat-conf", "heat-b.conf"), "valid: HOST=FILE"),
        (("apis-proxy.conf", "--rest-section", "rest_api_prox"), "did you mean 'rest_api_proxy'"),
        (("apis-proxy.conf", "--rest-url", "10.0.0.1:8004"), "valid: http://HOST:PORT/PATH"),
        (("apis-proxy.conf", "--run", "nowhere"), "is not a run folder"),
        (("clean.cfg", "x.toml"), "is given with other files"),
        (("--proxy", ""), "--proxy: '' given; valid: FILE, or NAME=FILE"),
        (("clean.cfg", "--heat-conf", "B=,"), "valid: HOST=FILE"),
        (("clean.cfg", "--heat-conf", " =heat-b.conf"), "valid: HOST=FILE"),
        (
            ("clean.cfg", "--heat-conf", "B=clean.cfg"),
            "clean.cfg: is a HAProxy configuration; valid here: a",
        ),
        (("clean.cfg", "--engine", " "), "--engine: ' ' given; valid: HOST"),
    ],
)
def test_unusable_input_is_one_line(words: tuple[str, ...], message: str) -> None:
    """Unusable input is an InputError of one line, which is exit status 2."""
    result = call("audit", *words)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("seconds", ["nan", "-nan", "inf", "0"])
def test_a_time_that_no_limit_has_is_refused(seconds: str) -> None:
    """A bound that every comparison passes would hide what it is meant to find."""
    result = call("audit", "clean.cfg", "--max-detection", seconds)
    assert isinstance(result.exception, click.UsageError)
    assert "--max-detection" in str(result.exception.format_message())


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("output", [".", "/", ""])
def test_a_deployment_is_not_written_to_a_folder(output: str) -> None:
    """A folder in place of the file is one line."""
    result = described("-o", output)
    assert isinstance(result.exception, InputError)
    assert "is a folder; valid: the path of a file" in str(result.exception)


def test_files_of_another_service_are_refused(here: Path) -> None:
    """A proxy file without Heat's APIs is refused; it is not reported as free of faults."""
    (here / "web.cfg").write_text("listen web\n bind :80\n server a 10.0.0.2:8080\n")
    result = call("audit", "web.cfg")
    assert "with servers: web" in str(result.exception)


def test_frontends_checks_and_stats_are_described(here: Path) -> None:
    """A frontend with TLS, a checked backend, a stats page and a socket are all in the deployment."""
    (here / "split.cfg").write_text(
        "global\n stats socket /run/h.sock level admin\n stats socket ipv4@127.0.0.1:9999\n"
        "frontend rest\n mode http\n bind 10.0.0.1:8004 ssl crt x\n default_backend rest-apis\n"
        "backend rest-apis\n mode http\n balance source\n hash-type consistent sdbm\n timeout check 2s\n"
        " server r1 10.0.0.2:8004 check inter 1s fall 2 weight 3 maxconn 9\n"
        " server r2 10.0.0.3:8004 check inter 1s fall 2 maxconn 9\n"
        "listen stats\n mode http\n bind :1936\n stats uri /s\n stats auth op:word\n"
    )
    call("describe", "--proxy", "split.cfg", "-o", "d.toml")
    deployment = deployments.read(Path("d.toml"))
    (proxy,) = deployment.proxy
    assert deployment.rest.url == "https://10.0.0.1:8004/v1"
    assert deployment.rest.proxy_section == "rest-apis"
    assert deployment.cfn is None
    assert proxy.stats == ("unix:///run/h.sock", "tcp://127.0.0.1:9999", "http://127.0.0.1:1936/s")
    assert proxy.stats_user == "op"
    assert proxy.stats_password is not None
    assert deployment.reveal(proxy.stats_password) == "word"
    assert proxy.checks == Checks(inter_s=1.0, fall=2, rise=2, timeout_check_s=2.0)
    wanted = Expect(balance="source", hash_type="consistent sdbm", weights={"r1": 3}, server_maxconn=9)
    assert deployment.expect == wanted.model_copy(update={"tcp_keepalive": False})


def test_a_wildcard_bind_takes_the_address_that_machine_a_had(here: Path) -> None:
    """If the proxy binds every address, the heat.conf of A gives the address that clients know."""
    text = (here / "apis-proxy.conf").read_text().replace("bind 10.0.0.1:", "bind :")
    (here / "apis-proxy.conf").write_text(text)
    refused = described()
    assert "--rest-url" in str(refused.exception)
    assert described("--heat-conf", "A=heat-a.conf", "--engine", "B").return_value == 0
    assert deployments.read(Path("deployment.toml")).rest.url == "http://10.0.0.1:8004/v1"


_PROXY_LINES = """\
listen rest_api
frontend f
backend b
 default_backend b
 bind :8004
 bind 10.0.0.1:8004
 bind [::1]:8004 ssl
 server a 10.0.0.2:8004
 server a ::::8004
 server b [x]:8004 check inter 0 fall 0
 server c h:8004 weight x fastinter 0
 server-template t 1-3 h:8004
 stats uri /x
 stats auth a
 stats
 timeout client 0
global
 stats socket
 stats socket /x
 stats socket @:9
 log
 maxconn 99
"""
_HEAT_LINES = """\
[DEFAULT]
[database]
[heat_api]
[ec2authtoken]
bind_host = x y
bind_port = 99999
bind_port = 8004
transport_url = rabbit://a b@:x,y/z
transport_url = rabbit://h
transport_url = x
connection = ://
rabbit_host = [
auth_url = http://[
num_engine_workers = -1
x
sql_connection = mysql://localhost
rpc_response_timeout = -5
"""
_PIECES = st.sampled_from(_PROXY_LINES.splitlines(keepends=True))
_OPTIONS = st.sampled_from(_HEAT_LINES.splitlines(keepends=True))


@settings(max_examples=30)  # thousands of files: `bin/soak field`
@given(st.lists(_PIECES, max_size=12), st.lists(_OPTIONS, max_size=8))
def test_no_files_raise_anything_but_an_input_error(proxy: list[str], options: list[str]) -> None:
    """For any files, audit, correction and description end in a result or an InputError."""
    from calorimeter.config import audit
    from calorimeter.config.audit import report_text

    heat = (
        HeatFiles("B", (("b.conf", "".join(options)),)),
        HeatFiles("C", (("c.conf", "".join(reversed(options))),)),
    )
    inputs = Inputs(proxies=(("proxy", (("p.cfg", "".join(proxy)),)),), heat=heat)
    report_text.text(audit.audit(inputs))
    audit.corrected(inputs)
    try:
        named_files.require_apis(inputs)
        describe(inputs, Answers(), folder=Path(), secrets_file="s.toml")
    except InputError as problem:
        assert "\n" not in str(problem)
