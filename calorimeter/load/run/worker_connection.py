"""Locust's connection between a master and its workers, for those that have the master's token.

Locust's own sockets accept every message of everybody. These ones encrypt, and authenticate both sides
(CurveZMQ) with keys from the token; whoever lacks it cannot send a single message. Of the others, messages
of a fixed list, size and shape are handed on to Locust, each under the name of the worker that sent it.
"""

from __future__ import annotations

import hmac
import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import gevent
import msgpack  # type: ignore[import-untyped]
import zmq.green as zmq
from locust.exception import RPCError, RPCSendError
from locust.rpc import zmqrpc
from locust.rpc.protocol import Message
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from calorimeter.core.errors import InputError
from calorimeter.load.run import worker_messages
from calorimeter.load.run.worker_token import OPTION, WorkerToken, key_pair

log = logging.getLogger(__name__)

MOST_BYTES = 2 * 2**20
"""The largest message. Unpacked, the worst one takes about 64 times as much."""

MOST_WAITING = 100
"""Messages of one peer that may wait."""

SEND_S = 30.0
"""The longest time to wait until a message can be sent."""

MOST_REFUSALS = 3
"""Handshakes that fail until a worker gives up: one alone may be a master that is just ending."""

_FAILED = {
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
    zmq.Event.HANDSHAKE_FAILED_AUTH,
}


def require(token: WorkerToken) -> None:
    """Let all masters and workers of this process connect only to those that have the token."""
    vars(zmqrpc).update(Server=partial(MasterSocket, token), Client=partial(WorkerSocket, token))


class MasterSocket(zmqrpc.Server):
    """The socket of a master."""

    def __init__(self, token: WorkerToken, host: str, port: int) -> None:
        _open(self, zmq.ROUTER, host, port)
        self._place = f"{host}:{port}"
        self._workers: set[str] = set()
        self._told: set[str] = set()
        (public, secret), (workers_key, _) = _keys(partial(token.of_master, host))
        self.socket.curve_server = True
        self.socket.curve_publickey, self.socket.curve_secretkey = public, secret
        self._gate = self.socket.context.socket(zmq.REP)
        self._gate.bind("inproc://zeromq.zap.01")  # where ZeroMQ asks for each peer (ZAP, RFC 27)
        self._beside = [
            gevent.spawn(_admit, self._gate, z85.decode(workers_key)),
            gevent.spawn(_watch, self.socket.get_monitor_socket(), self._event),
        ]
        try:
            self.socket.bind(f"tcp://{host}:{port or '*'}")
        except zmq.ZMQError as problem:
            self.close(linger=0)
            given = f"port {port} cannot be opened there ({zmq.strerror(problem.errno or 0)})"
            _end(InputError(f"--master-bind-host {host}", given, "another address, or --master-bind-port"))
        endpoint = bytes(self.socket.last_endpoint)  # type: ignore[arg-type]
        self.port = int(endpoint.strip(b"\0").rpartition(b":")[2])

    def recv_from_client(self) -> tuple[str, Message]:
        """The next message of a worker that is one of the protocol, and the worker's name."""
        while True:
            try:
                parts = self.socket.recv_multipart()
            except zmq.ZMQError as problem:
                raise RPCError("ZMQ network broken") from problem
            name = worker_messages.worker_name(parts[0])
            if name is None or (
                name not in self._workers and len(self._workers) >= worker_messages.MOST_PROCESSES
            ):
                continue
            self._workers.add(name)
            kind, data = _unpacked(parts[1:], name, worker_messages.OF_WORKERS)
            if kind is not None:
                return name, Message(kind, data, name)  # type: ignore[no-untyped-call]
            self._tell(name, "messages that no worker sends are ignored")

    def _event(self, event: int) -> None:
        if event in _FAILED:
            self._tell(self._place, "a peer without this run's token was refused")

    def _tell(self, who: str, what: str) -> None:
        if who not in self._told:
            self._told.add(who)
            log.warning("%s: %s (reported once)", who, what)

    def close(self, linger: int | None = None) -> None:
        """Close the socket, and end what watches it."""
        gevent.killall(self._beside)
        self.socket.disable_monitor()
        self._gate.close(linger=0)
        super().close(linger)  # type: ignore[no-untyped-call]


class WorkerSocket(zmqrpc.Client):
    """The socket of a worker."""

    def __init__(self, token: WorkerToken, host: str, port: int, identity: str) -> None:
        _open(self, zmq.DEALER, host, port)
        self._place = f"{host}:{port}"
        self._name = identity
        self._refusals = 0
        self._told = False
        (masters_key, _), (public, secret) = _keys(token.of_worker)
        self.socket.curve_serverkey = masters_key
        self.socket.curve_publickey, self.socket.curve_secretkey = public, secret
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        self._watcher = gevent.spawn(_watch, self.socket.get_monitor_socket(), self._event)
        self.socket.connect(f"tcp://{host}:{port}")

    def send(self, msg: Message) -> None:
        """Send a message, as soon as the master takes it. Raises RPCSendError if it does not."""
        try:
            if self.socket.poll(round(SEND_S * 1000), zmq.POLLOUT):
                self.socket.send(msg.serialize(), zmq.NOBLOCK)  # type: ignore[no-untyped-call]
                return
        except zmq.ZMQError as problem:
            raise RPCSendError("ZMQ sent failure") from problem
        raise RPCSendError(f"the master takes no messages for {SEND_S:g} s")

    def recv(self) -> Message:
        """The next message of the master that is one of the protocol."""
        while True:
            try:
                data = self.socket.recv()
            except zmq.ZMQError as problem:
                raise RPCError("ZMQ network broken") from problem
            kind, data = _unpacked([data], None, worker_messages.OF_MASTERS)
            if kind is not None:
                return Message(kind, data, self._name)  # type: ignore[no-untyped-call]
            if not self._told:
                self._told = True
                log.warning("the master: messages that no master sends are ignored (reported once)")

    def _event(self, event: int) -> None:
        if event == zmq.Event.HANDSHAKE_SUCCEEDED:
            self._refusals = -sys.maxsize  # later ones are a master that ends
        if event not in _FAILED:
            return
        self._refusals += 1
        if self._refusals == MOST_REFUSALS:
            valid = f"give {OPTION} FILE, a copy of the master's"
            problem = InputError(f"--master-host {self._place}", "refuses this worker's token", valid)
            print(f"calorimeter: {problem}", file=sys.stderr, flush=True)
            gevent.kill(gevent.get_hub().parent, SystemExit(2))

    def close(self, linger: int | None = None) -> None:
        """Close the socket, and end what watches it."""
        gevent.kill(self._watcher)
        self.socket.disable_monitor()
        super().close(linger)  # type: ignore[no-untyped-call]


def _open(opened: zmqrpc.BaseSocket, kind: int, host: str, port: int) -> None:
    """Make Locust's socket, and bound what a peer can send."""
    zmqrpc.BaseSocket.__init__(opened, kind, opened.ipv4_only(host, port))  # type: ignore[no-untyped-call]
    socket = opened.socket
    socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)
    socket.setsockopt(zmq.RCVHWM, MOST_WAITING)
    socket.setsockopt(zmq.SNDHWM, MOST_WAITING)


def _keys(token: Callable[[], bytes]) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """The keys of a master and of its workers; without a token, this Locust ends with one line."""
    try:
        shared = token()
        return key_pair(shared, "master"), key_pair(shared, "worker")
    except InputError as problem:
        _end(problem)


def _end(problem: InputError) -> NoReturn:
    """End this Locust with one line."""
    print(f"calorimeter: {problem}", file=sys.stderr, flush=True)
    sys.exit(2)


def _admit(gate: Any, workers_key: bytes) -> None:
    """Answer ZeroMQ's questions whether a peer may connect."""
    while True:
        version, number, _domain, _address, _identity, mechanism, *credentials = gate.recv_multipart()
        known = mechanism == b"CURVE" and hmac.compare_digest(b"".join(credentials), workers_key)
        gate.send_multipart([version, number, b"200" if known else b"400", b"", b"", b""])


def _watch(monitor: Any, event: Any) -> None:
    while True:
        event(parse_monitor_message(monitor.recv_multipart())["event"])


def _unpacked(
    parts: list[bytes], sender: str | None, valid: dict[str, worker_messages.Check]
) -> tuple[str | None, Any]:
    """The type and the data of a message; (None, None) if it is none of the protocol."""
    try:
        (packed,) = parts
        kind, data, name = msgpack.unpackb(packed, raw=False, strict_map_key=False)
        if sender is None or name == sender:
            return kind, valid[kind](worker_messages.plain_data(data))
    except (ValueError, TypeError, KeyError, RecursionError, msgpack.UnpackException):
        pass
    return None, None
