"""Readers without a command: what comes from a proxy's log, a broker and a stats socket.

Each reads the file `input` of its case. What it documents to raise ends with status 2; all else is a fault.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.gates.evidence import proxy_log, proxy_state, rpc_message
from calorimeter.gates.evidence.proxy_log import LogLine
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.fuzz.faulty_readers import FAULTY


def log_lines(data: bytes) -> str:
    """Lines as `log_listener` receives them; none is lost and none has two entries."""
    lines = [LogLine(1, line) for line in data.decode("utf-8", "replace").splitlines()]
    found = proxy_log.read(lines)
    entries = (*found.connections, *found.accepted, *found.events, *found.notices, *found.unparsed)
    assert len(entries) == sum(1 for line in lines if line.text.strip("\x00 \r\n\t"))
    return found.model_dump_json()


def rpc_messages(data: bytes) -> str:
    """A routing key, the headers as JSON, and a body."""
    key, headers, body = data.split(b"\n", 2)
    return rpc_message.read(
        0, 1, key.decode("utf-8", "replace"), json.loads(headers), body
    ).model_dump_json()


def stats(data: bytes) -> str:
    """Answers of a stats socket, read as each of its commands."""
    text = data.decode("utf-8", "replace")
    shown = [repr(proxy_state.read_info(text)), repr(proxy_state.read_sessions(text))]
    for read in (proxy_state.read_stat, proxy_state.read_servers_state):
        try:
            shown.append(repr(read(text, "here")))
        except EvidenceUnavailable as problem:
            shown.append(str(problem))
    return "\n".join(shown)


READERS: dict[str, tuple[Callable[[bytes], str], tuple[type[Exception], ...]]] = {
    "log_lines": (log_lines, ()),
    "rpc_messages": (rpc_messages, (ValueError,)),
    "stats": (stats, ()),
}
"""Name → (the reader, the errors that it documents)."""


def call(name: str) -> int:
    """Read `input`, print what is kept of it; the exit status."""
    reader, documented = READERS.get(name) or (FAULTY[name], ())
    try:
        shown = str(reader(Path("input").read_bytes()))
    except (*documented, InputError) as problem:
        print(f"calorimeter: {str(problem)!a}", file=sys.stderr)
        return 2
    print(ascii(shown))
    return 0
