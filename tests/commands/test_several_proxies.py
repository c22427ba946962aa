"""`--proxy NAME=FILE`, `--stats NAME=URL` and `--resolve`, as an operator calls them."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calorimeter.commands import configuration, name_resolution
from calorimeter.core import deployment as deployments
from tests.config.audit import clean


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files of two equal proxies and of two Heat machines."""
    for name in ("lb1.cfg", "lb2.cfg"):
        (tmp_path / name).write_text(clean.PROXY)
    (tmp_path / "b.conf").write_text(clean.heat("10.0.0.2"))
    (tmp_path / "c.conf").write_text(clean.heat("10.0.0.3"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(name: str, *words: str) -> Result:
    """Call a command as `calorimeter` does."""
    command = {"audit": configuration.audit, "describe": configuration.describe}[name]
    return CliRunner().invoke(command, words, standalone_mode=False)


PAIR = ("--proxy", "lb1=lb1.cfg", "--proxy", "lb2=lb2.cfg")


def test_each_proxy_of_a_pair_is_described(here: Path) -> None:
    """Each proxy has its own table, with the stats and logs that are given for it."""
    urls = (
        "--stats",
        "lb1=tcp://10.0.0.8:9",
        "--stats",
        "lb2=tcp://10.0.0.9:9",
        "--log",
        "lb2=udp://127.0.0.1:5",
    )
    result = call("describe", *PAIR, *urls)
    assert result.return_value == 0
    first, second = deployments.read(Path("deployment.toml")).proxy
    assert (first.name, first.stats, first.logs) == ("lb1", ("tcp://10.0.0.8:9",), ())
    assert (second.name, second.stats, second.logs) == (
        "lb2",
        ("tcp://10.0.0.9:9",),
        ("udp://127.0.0.1:5",),
    )
    assert [str(path) for path in first.config + second.config] == ["lb1.cfg", "lb2.cfg"]
    assert "proxy.lb1.logs" in result.stderr
    assert call("audit", "deployment.toml").return_value == 0


def test_the_files_of_each_proxy_are_read_by_themselves(here: Path) -> None:
    """A pair with equal files has no finding; a server that one of them lacks has one."""
    heat = ("--heat-conf", "B=b.conf", "--heat-conf", "C=c.conf")
    assert call("audit", *PAIR, *heat).return_value == 0
    (here / "lb2.cfg").write_text(clean.PROXY.replace("    server rest-2 10.0.0.3:8004\n", ""))
    result = call("audit", *PAIR, *heat)
    assert "lb1.cfg:28: warning A2-proxies-differ" in result.stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("--proxy", "lb1=lb1.cfg", "--proxy", "lb2.cfg"),
            "lb2.cfg has no NAME, but other files have one: lb1",
        ),
        (("--proxy", "a/b=lb1.cfg"), "valid: FILE, or NAME=FILE"),
        (("--proxy", "lb1="), "valid: FILE, or NAME=FILE"),
        (("--proxy", "lb1=none.cfg"), "none.cfg: cannot be read"),
        ((*PAIR, "--stats", "tcp://10.0.0.8:9"), "lb1=tcp://10.0.0.8:9"),
    ],
)
def test_a_proxy_that_cannot_be_told_apart_is_refused(
    here: Path, given: tuple[str, ...], message: str
) -> None:
    """A file or URL that may belong to either proxy is one line of bad input."""
    assert message in str(call("describe", *given).exception)


def test_a_file_whose_name_has_an_equals_sign_is_a_file(here: Path) -> None:
    """An existing file is taken as it is named."""
    (here / "a=b.cfg").write_text(clean.PROXY)
    assert call("describe", "--proxy", "a=b.cfg").return_value == 0
    assert deployments.read(Path("deployment.toml")).proxy[0].name == "proxy"


def _by_name(here: Path) -> tuple[str, ...]:
    text = clean.PROXY.replace("10.0.0.2:", "b.example:").replace("10.0.0.3:", "c.example:")
    (here / "lb1.cfg").write_text(text)
    return ("--proxy", "lb1.cfg", "--heat-conf", "n1=b.conf", "--heat-conf", "n2=c.conf")


def _answer(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
    known = {"b.example": "10.0.0.2", "c.example": "10.0.0.9"}
    if name not in known:
        raise socket.gaierror
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[name], 0))]


def test_names_are_resolved_unless_it_is_switched_off(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolved, c.example is another machine than the API's; unresolved, it cannot be determined."""
    monkeypatch.setattr(socket, "getaddrinfo", _answer)
    files = _by_name(here)
    resolved = call("audit", *files)
    assert "server rest-2: c.example:8004 is not the address of a [heat_api]" in resolved.stdout
    assert "b.example:8004 is not" not in resolved.stdout
    unresolved = call("audit", *files, "--no-resolve")
    assert unresolved.return_value == 0
    assert unresolved.stdout.count("it cannot be determined whether") == 2


def test_the_name_of_the_users_keystone_decides_between_fronts(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OS_AUTH_URL by name: the front at its address is described."""
    monkeypatch.setattr(socket, "getaddrinfo", _answer)
    text = clean.PROXY.replace("bind 10.0.0.1:8004", "bind 10.0.0.1:8004\n    bind 10.0.0.9:8004")
    (here / "lb1.cfg").write_text(text)
    assert call("describe", "--proxy", "lb1.cfg", "--auth-url", "http://c.example:5000").return_value == 0
    assert deployments.read(Path("deployment.toml")).rest.url == "http://10.0.0.9:8004/v1"


def test_a_resolver_that_does_not_answer_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names without an answer in time are left out; those with one are kept."""

    def slow(name: str, *rest: object, **more: object) -> list[tuple[object, ...]]:
        if name != "b.example":
            time.sleep(2)
        return _answer(name)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started = time.monotonic()
    names = ["a.example", "b.example", "x.example"]
    assert name_resolution.resolved(names, deadline_s=0.1) == {"b.example": ("10.0.0.2",)}
    assert time.monotonic() - started < 1.0
