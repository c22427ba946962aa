"""What `option redispatch` does for clients of a crashed API, in the HAProxy that is installed here."""

from __future__ import annotations

import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gates.small_proxy import SmallProxy, small_proxy

pytestmark = pytest.mark.lab

CHECKED = "check inter 1s fall 2 on-marked-down shutdown-sessions"
CLIENTS = 60
EVERY_S = 0.05
"""The clients arrive during 3 s: from the crash until after the server is DOWN, which takes 1 to 2 s."""

PATIENCE_S = 8.0
"""Longer than every timeout of the proxy."""


def client(at: SmallProxy, number: int, patience_s: float = PATIENCE_S) -> str:
    """What a client from an address of its own got."""
    with socket.socket() as connection:
        connection.settimeout(patience_s)
        connection.bind((f"127.16.0.{number + 1}", 0))
        try:
            connection.connect(("127.0.0.1", at.front))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return "answered" if connection.recv(1000) else "closed"
        except TimeoutError:
            return "waits"
        except ConnectionError:
            return "closed"


def after_a_crash(
    folder: Path,
    option: str,
    *,
    hash_type: str = "consistent",
    words: str = CHECKED,
    dead: int = 1,
    patience_s: float = PATIENCE_S,
) -> Counter[str]:
    """What clients got that came while one of two APIs was dead, or both: outcome → how many."""
    defaults = f"{option}\n  hash-type {hash_type}"
    with small_proxy(folder, client="6s", defaults=defaults, words=words) as at:
        for api in at.apis[:dead]:
            api.shutdown()
            api.server_close()
        with ThreadPoolExecutor(CLIENTS) as pool:
            asked = []
            for number in range(CLIENTS):
                asked.append(pool.submit(client, at, number, patience_s))
                time.sleep(EVERY_S)
            return Counter(each.result() for each in asked)


def test_with_every_retry_redispatched_all_clients_are_answered(tmp_path: Path) -> None:
    """A retry goes to the other server, and the session of the dead one is none that is ended."""
    assert after_a_crash(tmp_path, "option redispatch 1") == {"answered": CLIENTS}


def test_with_every_retry_redispatched_nobody_is_forgotten(tmp_path: Path) -> None:
    """If both APIs die, every client gets an end."""
    assert after_a_crash(tmp_path, "option redispatch 1", dead=2) == {"closed": CLIENTS}


def test_with_the_last_retry_redispatched_some_are_not(tmp_path: Path) -> None:
    """They wait for the dead server when it goes DOWN: closed by HAProxy 2.6 and 3.2, kept by 3.0.11."""
    got = after_a_crash(tmp_path, "option redispatch")
    assert got["answered"] < CLIENTS
    print(dict(got))
