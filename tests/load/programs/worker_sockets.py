"""A master and workers on one machine, and peers that are none: prints what each received, as JSON."""

from __future__ import annotations

import json
import logging
from typing import Any

import gevent
import msgpack  # type: ignore[import-untyped]
import zmq.green as zmq
from locust.rpc.protocol import Message
from zmq.utils.monitor import parse_monitor_message

from calorimeter.load.run import worker_connection
from calorimeter.load.run.worker_connection import MasterSocket, WorkerSocket
from calorimeter.load.run.worker_token import WorkerToken

NAMES = [f"host-{number}_{number:032x}" for number in range(4)]
MANY: Any = []
for _ in range(900):
    MANY = [MANY]
BEAT = {"state": "ready", "current_cpu_usage": 1.0, "current_memory_usage": 1}
USERS = {"user_classes_count": {"RestUser": 1}}

lines: list[str] = []
logging.getLogger(worker_connection.__name__).addHandler(handler := logging.Handler())
handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]


class Known(WorkerToken):
    """A token that its worker has, though no master started this process."""

    def of_worker(self) -> bytes:
        """The token itself."""
        return self._made


token, other = Known(), Known()
master = MasterSocket(token, "127.0.0.1", 0)
received: list[tuple[str, str, Any]] = []


def listen() -> None:
    """Keep what reaches Locust."""
    while True:
        name, msg = master.recv_from_client()
        received.append((name, msg.type, msg.data if msg.type != "calorimeter_file" else None))


gevent.spawn(listen)


def until(condition: Any) -> None:
    """Wait for what must come."""
    with gevent.Timeout(20):
        while not condition():
            gevent.sleep(0.005)


def refused(open_peer: Any) -> bool:
    """Whether a peer's handshake fails."""
    events: list[int] = []
    socket = open_peer()
    monitor = socket.get_monitor_socket()

    def watch() -> None:
        while True:
            events.append(parse_monitor_message(monitor.recv_multipart())["event"])

    watcher = gevent.spawn(watch)
    socket.connect(f"tcp://127.0.0.1:{master.port}")
    socket.send(msgpack.dumps(("client_ready", "2.47.0", NAMES[3])))
    until(lambda: {zmq.Event.DISCONNECTED, zmq.Event.HANDSHAKE_SUCCEEDED} & set(events))
    watcher.kill()
    socket.disable_monitor()
    socket.close(linger=0)
    return zmq.Event.HANDSHAKE_SUCCEEDED not in events


def plain() -> Any:
    """A peer as Locust's own: without encryption."""
    socket = zmq.Context().socket(zmq.DEALER)
    socket.setsockopt(zmq.IDENTITY, NAMES[3].encode())
    return socket


def key(of_server: WorkerToken, own: WorkerToken) -> Any:
    """A peer with some keys."""
    socket = plain()
    socket.curve_serverkey = worker_connection.key_pair(of_server.of_worker(), "master")[0]
    socket.curve_publickey, socket.curve_secretkey = worker_connection.key_pair(own.of_worker(), "worker")
    return socket


strangers = [refused(plain), refused(lambda: key(other, other)), refused(lambda: key(token, other))]

workers = [WorkerSocket(token, "127.0.0.1", master.port, name) for name in NAMES[:2]]
for worker, name in zip(workers, NAMES, strict=False):
    worker.send(Message("client_ready", "2.47.0", name))
until(lambda: len(received) == 2)
hostile, honest = workers
double = WorkerSocket(token, "127.0.0.1", master.port, NAMES[1])  # takes the place of another
double.send(Message("quit", None, NAMES[1]))
for data in (
    ("quit", None, NAMES[1]),  # in the name of another
    ("locustfile", {"version": "2.47.0"}, NAMES[0]),
    ("heartbeat", {**BEAT, "state": "\x1b[2J"}, NAMES[0]),
    (
        "heartbeat",
        {**BEAT, "current_cpu_usage": float("nan")},
        NAMES[0],
    ),
    ("spawning_complete", {"user_classes_count": {"<b>": 1}}, NAMES[0]),
    ("stats", {**USERS, "stats": 3, "stats_total": {}, "errors": []}, NAMES[0]),
    ("exception", MANY, NAMES[0]),
    ("exception", {"msg": msgpack.ExtType(5, b"x"), "traceback": ""}, NAMES[0]),
    (["quit"], None, NAMES[0]),
    ("quit", None),
    7,
):
    hostile.socket.send(msgpack.dumps(data))
hostile.socket.send(b"\xc1\xff")
hostile.socket.send(b"\xdd\xff\xff\xff\xff")  # a list of four billion
hostile.socket.send(bytes(3 * 2**20))
odd = WorkerSocket(token, "127.0.0.1", master.port, "<script>_\x1b[2J")
odd.send(Message("client_ready", "2.47.0", "<script>_\x1b[2J"))
hostile.send(Message("exception", {"msg": "a\x1b[2Jb", "traceback": "c\nd"}, NAMES[0]))
honest.send(Message("spawning_complete", USERS, NAMES[1]))
until(lambda: len(received) >= 4)
of_workers = list(received)

for msg in (
    Message("update_user_class", {"user_class_name": "RestUser", "host": "x"}, NAMES[1]),
    Message("spawn", {"timestamp": 1.0, "user_classes_count": {"RestUser": 10**9}}, NAMES[1]),
    Message("calorimeter_file", {}, NAMES[1]),
    Message(
        "spawn",
        {"timestamp": 1.0, **USERS, "host": None, "stop_timeout": 5.0, "parsed_options": {"runs": "/etc"}},
        NAMES[1],
    ),
):
    master.send_to_client(msg)
first = honest.recv()
print(
    json.dumps(
        {
            "strangers": strangers,
            "of_workers": of_workers,
            "lines": [line.replace(str(master.port), "PORT") for line in lines],
            "of_master": [first.type, first.data, first.node_id],
        }
    )
)
