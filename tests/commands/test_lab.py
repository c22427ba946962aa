"""`calorimeter lab` with unusable input: one line, status 2, nothing started."""

from __future__ import annotations

import socket
import sys
import threading

import pytest

from calorimeter.cli import main
from calorimeter.lab.daemons import readiness


def lab(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit status of `calorimeter lab …`."""
    monkeypatch.setattr(sys, "argv", ["calorimeter", "lab", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("up", "--name", "No!"), "--name: 'No!' given; valid: 1 to 20 of a-z, 0-9 and -"),
        (("up", "--name", "x", "--weights", "1,x"), "'1,x' given; valid: a whole number from 0 to 256"),
        (
            ("up", "--name", "x", "--weights", "1,2,3"),
            "--weights: (1, 2, 3) given; valid: at most one weight",
        ),
        (("up", "--name", "x", "--proxy", "gide"), "'gide' is not one of 'guide', 'checked'"),
        (("up", "--name", "x", "--rest", "0"), "'0' given; valid: a whole number from 1 to 64"),
        (("status", "--name", "nobody"), "no lab named 'nobody'"),
        (("logs", "--name", "nobody"), "no lab named 'nobody'"),
        (("scale", "--name", "nobody", "--rest", "3"), "no lab named 'nobody'"),
        (("scale", "--name", "nobody"), "give --rest N, --cfn N or --engines N"),
        (("up", "--sample", "guide", "--rest", "3"), "--rest: 3 given with --sample guide; valid: 2"),
        (("up", "--sample", "guide", "--cfn-port", "80"), "--cfn-port: given with --sample guide"),
        (("exec", "--name", "nobody", "true"), "no lab named 'nobody'"),
        (("part", "--name", "nobody", "rest-1", "kill"), "no lab named 'nobody'"),
    ],
)
def test_unusable_input_is_one_line_and_status_2(
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The message names the option, what was given and what is valid."""
    assert lab(monkeypatch, *words) == 2
    assert message in capsys.readouterr().err


def test_no_line_of_the_overview_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`calorimeter lab --help` shows the whole line of each command."""
    assert lab(monkeypatch, "--help") == 0
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_a_web_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's own daemons are reached directly, whatever `$http_proxy` is."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_one, args=(server,))
        thread.start()
        assert readiness.answers(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()


def answer_one(server: socket.socket) -> None:
    """Answer one HTTP request with an empty 200; before it, somebody asks whether the server listens."""
    server.accept()[0].close()
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_down_without_a_lab_is_not_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`lab down` can be called twice."""
    assert lab(monkeypatch, "down", "--name", "nobody") == 0
    assert capsys.readouterr().err == "no lab named 'nobody' is up\n"
