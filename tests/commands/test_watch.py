"""`--web` and `calorimeter watch`: where the page listens, and what is refused."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from calorimeter.commands.run import run
from calorimeter.commands.watch import watch
from calorimeter.commands.web_option import DEFAULT, ListenParam, with_address
from calorimeter.core.errors import InputError
from calorimeter.load.run import locust_command
from tests.report.run_builder import DEPLOYMENT, Builder


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("--web", f"--web={DEFAULT}"),
        ("--web first-mix", f"--web={DEFAULT} first-mix"),
        ("first-mix --web --users 3", f"first-mix --web={DEFAULT} --users 3"),
        ("--web ./8089", f"--web={DEFAULT} ./8089"),
        ("--web 127.0.0.1:80", "--web 127.0.0.1:80"),
        ("--web [::1]:80", "--web [::1]:80"),
        ("--web :80", "--web :80"),  # refused: it would be every address
        ("--web 80", "--web 80"),
        ("--web=127.0.0.1:80 x", "--web=127.0.0.1:80 x"),
        ("-- --web", "-- --web"),
    ],
)
def test_web_takes_the_next_word_only_if_it_is_a_place(given: str, found: str) -> None:
    """`run --web first-mix` goes on to mean the scenario."""
    assert with_address(given.split()) == found.split()


@pytest.mark.parametrize("text", [":8089", "8089", "*:8089", "localhost", "example.org:8089", "127.0.0.1:0",
                                  "127.0.0.1:99999", "", "[::1:8089"])  # fmt: skip
def test_a_place_is_an_address_and_a_port(text: str) -> None:
    """All addresses are meant by 0.0.0.0 alone, and a name could be several."""
    with pytest.raises(click.BadParameter, match="given; valid: an IP address of this machine and a port"):
        ListenParam().convert(text, None, None)


def test_places_that_are_valid() -> None:
    """Loopback by name, IPv6 in brackets, and every address if it is asked for."""
    for text in ("localhost:80", "[::]:81", "0.0.0.0:82"):
        assert str(ListenParam().convert(text, None, None)) == text


def test_locusts_page_is_where_web_says() -> None:
    """Both parts of the address are passed on."""
    at = ListenParam().convert("127.0.0.2:9000", None, None)
    command = locust_command.with_page(at, Path("d.toml"), "first-mix", Path("runs"))
    assert command[-4:] == ["--web-host", "127.0.0.2", "--web-port", "9000"]
    assert "--headless" not in command


def test_help_shows_the_value() -> None:
    """Of both commands."""
    for command in (run, watch):
        assert "--web ADDRESS:PORT" in CliRunner().invoke(command, ["--help"]).output


def refusal(*words: object) -> str:
    """The one line of a `watch` that is refused."""
    problem = CliRunner().invoke(watch, [str(word) for word in words], standalone_mode=False).exception
    assert isinstance(problem, InputError)
    return str(problem)


def test_neither_run_nor_web() -> None:
    """There is nothing to do."""
    assert refusal() == "RUN: is missing; valid: a run folder, or --web for a page"


def test_a_run_that_has_ended_is_a_report(tmp_path: Path) -> None:
    """The line says how it is seen."""
    ended = Builder(tmp_path / "run").about(ended="2026-01-02T03:05:05+00:00").path
    assert "has ended; valid: a run in progress; see `calorimeter report" in refusal(ended, "--web")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as on:
        return int(on.getsockname()[1])


@pytest.mark.slow  # starts the command
@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_without_a_load(tmp_path: Path, word: signal.Signals) -> None:
    """It serves what it records, until a signal; then its folder is a complete run."""
    file, port = tmp_path / "deployment.toml", free_port()
    file.write_text(DEPLOYMENT)
    command = [sys.executable, "-m", "calorimeter", "watch", "--web", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        [*command, "--deployment", str(file), "--runs", str(tmp_path / "runs")],
        stdin=subprocess.DEVNULL,  # it does not end with its input
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        assert process.stderr.readline() == f"page: http://127.0.0.1:{port}/live\n"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        found = {"figures": None}
        for _ in range(1000):
            connection.request("GET", "/live.json")
            found = json.loads(connection.getresponse().read())
            connection.close()
            if found["figures"] and found["figures"]["sources"]:
                break
        assert found["figures"]["deployment"] == "checked"
        assert "/tmp/proxy.sock" in found["figures"]["sources"][0]["problem"]  # there is no proxy
        process.send_signal(word)
        output = process.stdout.read()
        assert process.wait(20) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert output == f"run: {folder}\n"
    assert re.fullmatch(r"\d{8}T\d{6}Z-watch-[0-9a-f]{4}", folder.name)
    assert "ended" in json.loads((folder / "run.json").read_text())
