"""Records the broker's firehose: every message published and delivered while a context is open.

The recorder has its own queue, bound to `amq.rabbitmq.trace`. It never consumes from Heat's queues. Whether
the recording is complete is part of the evidence: see `Firehose.why_incomplete`.

Tested with RabbitMQ 3.10.8, with one node and with three, with classic and quorum queues. The exchange is
one for the whole cluster: a recorder at any node receives the events of every node whose tracing is on. A
node emits `deliver` for the consumers, and `publish` for the clients, that are connected to it.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pika
import pika.exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from calorimeter.core import tls_front
from calorimeter.core.broker_table import Broker
from calorimeter.core.deployment import Deployment
from calorimeter.gates.evidence import rpc_message
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

TRACE = "amq.rabbitmq.trace"
QUEUE_LENGTH = 100_000
"""Events that may wait in the broker for this recorder; it detects that more were dropped."""

QUEUE_BYTES = 128 * 2**20
KEEP = 2_000_000
"""Events kept in memory; a recording of more is incomplete."""

BEAT_S = 0.5
CONNECT_S = 10.0

UNREACHED = (pika.exceptions.AMQPError, AMQPConnectorException, OSError)
"""What pika raises if no connection is opened; the second if a frozen node accepts it and is silent."""


def parameters(deployment: Deployment) -> list[pika.ConnectionParameters]:
    """How to connect to each node of the broker. Raises `EvidenceUnavailable` if none is described."""
    broker = deployment.broker
    if broker is None:
        raise EvidenceUnavailable(str(deployment.path), "has no [broker]")
    return [_parameters(deployment, broker, urlsplit(node)) for node in broker.amqp]


def _where(deployment: Deployment) -> str:
    return f"RabbitMQ {', '.join(deployment.broker.amqp)}" if deployment.broker else "RabbitMQ"


def answers(deployment: Deployment, url: str, within_s: float) -> bool:
    """Whether a node opens a connection at its AMQP address within a time."""
    assert deployment.broker is not None
    try:
        pika.BlockingConnection(_parameters(deployment, deployment.broker, urlsplit(url), within_s)).close()
    except UNREACHED:
        return False
    return True


def _parameters(
    deployment: Deployment, broker: Broker, url: SplitResult, within_s: float = CONNECT_S
) -> pika.ConnectionParameters:
    secure = url.scheme == "amqps"
    tls = None
    if secure:
        tls = pika.SSLOptions(tls_front.verifying(deployment.tls), url.hostname)
    return pika.ConnectionParameters(
        host=url.hostname,
        port=url.port or (5671 if secure else 5672),
        virtual_host=broker.vhost,
        credentials=pika.PlainCredentials(broker.user, deployment.reveal(broker.password)),
        ssl_options=tls,
        heartbeat=30,
        socket_timeout=within_s,
        stack_timeout=within_s,
        blocked_connection_timeout=within_s,
        connection_attempts=1,
        client_properties={"connection_name": f"calorimeter-firehose:{uuid.uuid4()}"},
    )


def connect(deployment: Deployment) -> pika.BlockingConnection:
    """A new AMQP connection. Raises `EvidenceUnavailable` with the reason if it cannot be opened."""
    given = parameters(deployment)
    assert deployment.broker is not None
    where, user, vhost = _where(deployment), deployment.broker.user, deployment.broker.vhost
    try:
        return pika.BlockingConnection(given)
    except pika.exceptions.ProbableAuthenticationError:
        raise EvidenceUnavailable(where, f"refuses user {user!r}: wrong user or password") from None
    except pika.exceptions.ProbableAccessDeniedError:
        raise EvidenceUnavailable(
            where, f"vhost {vhost!r} does not exist, or user {user!r} has no permission on it"
        ) from None
    except pika.exceptions.ConnectionClosedByBroker as problem:
        raise EvidenceUnavailable(where, f"closes the connection: {problem.reply_text}") from None
    except UNREACHED:
        raise EvidenceUnavailable(where, "cannot be reached over AMQP") from None


def depth(deployment: Deployment, queue: str) -> tuple[int, int]:
    """(messages ready, consumers) of a queue, by a passive declare: nothing is changed or consumed.

    Raises `EvidenceUnavailable` if the queue does not exist.
    """
    with connect(deployment) as connection:
        try:
            method = connection.channel().queue_declare(queue, passive=True).method
        except pika.exceptions.ChannelClosedByBroker as problem:
            raise EvidenceUnavailable(_where(deployment), problem.reply_text) from None
        return int(method.message_count), int(method.consumer_count)


class Firehose:
    """Records the deliveries from `queues` while it is entered; tracing must be on.

    With `publishes` it also records everything that is published (calls, casts and replies). Entering
    raises `EvidenceUnavailable` if the broker cannot be reached, tracing is off, or a right is missing.
    `gaps` gives the reasons why events of other nodes are missing (`TracedCluster.gaps`); it is asked
    whenever the recording settles.
    """

    def __init__(
        self,
        deployment: Deployment,
        queues: Sequence[str] = ("engine", "engine_worker"),
        *,
        publishes: bool = True,
        gaps: Callable[[], Iterable[str]] = tuple,
        length: int = QUEUE_LENGTH,
        keep: int = KEEP,
    ) -> None:
        self._deployment = deployment
        self._gaps = gaps
        self._keys = [f"deliver.{queue}" for queue in queues] + (["publish.#"] if publishes else [])
        self._length = length
        self._keep = keep
        name = f"calorimeter.firehose.{uuid.uuid4().hex}"
        self._queue, self._dropped, self._exchange = name, f"{name}.dropped", f"{name}.beat"
        self._events: list[Delivery] = []
        self._news = threading.Condition()
        self._beats_sent = 0
        self._beats_back = 0
        self._beats_traced = 0
        self._settling = 0
        self._ended = False
        self._why: list[str] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._channel: Any = None

    def __enter__(self) -> Firehose:
        self._connection = connect(self._deployment)
        try:
            self._declare()
        except BaseException:
            self._disconnect()
            raise
        self._thread = threading.Thread(target=self._record, name="firehose", daemon=True)
        self._thread.start()
        with contextlib.suppress(EvidenceUnavailable):  # close() waits again and notes the reason
            self.settle()
        if self._why:
            self.close()
            raise EvidenceUnavailable(self.where, self._why[0])
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def deliveries(self) -> tuple[Delivery, ...]:
        """All events so far, in order of arrival."""
        with self._news:
            return tuple(self._events)

    def since(self, seq: int) -> tuple[Delivery, ...]:
        """The events from number `seq` on."""
        with self._news:
            return tuple(self._events[seq:])

    def __len__(self) -> int:
        return len(self._events)

    def wait_for(self, predicate: Callable[[Sequence[Delivery]], bool], deadline_s: float) -> bool:
        """Wait until the events so far satisfy `predicate`, at most `deadline_s` seconds; whether they do.

        The predicate is called after each burst of events, with the list itself: it must not keep it.
        """
        with self._news:
            return self._news.wait_for(
                lambda: predicate(self._events) or self._ended, deadline_s
            ) and predicate(self._events)

    def settle(self, deadline_s: float = CONNECT_S) -> None:
        """Wait until everything that the broker has traced by now has been received.

        A beat is sent through the recorder's own exchange: when it is received, so is everything that
        reached the queue before. Raises `EvidenceUnavailable` if it is not received in time.
        """
        for why in self._gaps():
            self._lost(why)
        with self._news:
            target = self._beats_sent + 2
            self._settling += 1
            done = self._news.wait_for(lambda: self._beats_back >= target or self._ended, deadline_s)
            self._settling -= 1
        if not done or self._beats_back < target:
            why = self._why[0] if self._why else f"the firehose did not settle within {deadline_s:g} s"
            raise EvidenceUnavailable(self.where, why)

    @property
    def complete(self) -> bool:
        """Whether no loss is known so far; see `why_incomplete`."""
        return not self._why

    @property
    def why_incomplete(self) -> str | None:
        """What is known to be missing; None if nothing is. Final when the context is left.

        Detected are an overflow of the recorder's queue, a lost connection, tracing switched off for longer
        than a beat (0.5 s) at the recorder's node, or off at another one when the recording settles, and
        events that cannot be read. Other losses show in the broker's own counters (`Queue.delivered`).
        """
        return "; ".join(self._why) or None

    def close(self) -> None:
        """End the recording once it has settled; `why_incomplete` is final then."""
        if self._thread is None:
            return
        try:
            self.settle()
        except EvidenceUnavailable as problem:
            self._lost(problem.why)
        self._stop.set()
        self._thread.join(CONNECT_S)
        if self._thread.is_alive():
            self._lost("the recorder did not end in time")
        self._thread = None

    @property
    def where(self) -> str:
        """The broker that is recorded, for error messages."""
        assert self._deployment.broker is not None
        return _where(self._deployment)

    def _declare(self) -> None:
        try:
            channel = self._channel = self._connection.channel()
            # An overflow is dead-lettered to a queue of one message: a message in it means a loss.
            channel.queue_declare(self._dropped, exclusive=True, arguments={"x-max-length": 1})
            channel.queue_declare(
                self._queue,
                exclusive=True,
                arguments={
                    "x-max-length": self._length,
                    "x-max-length-bytes": QUEUE_BYTES,
                    "x-dead-letter-exchange": "",
                    "x-dead-letter-routing-key": self._dropped,
                },
            )
            channel.exchange_declare(self._exchange, "fanout", auto_delete=True)
            channel.queue_bind(self._queue, self._exchange)
            for key in (*self._keys, f"publish.{self._exchange}"):
                channel.queue_bind(self._queue, TRACE, key)
            channel.basic_consume(self._queue, self._receive, auto_ack=True, exclusive=True)
        except pika.exceptions.ChannelClosedByBroker as problem:
            raise EvidenceUnavailable(self.where, self._missing_right(problem.reply_text)) from None
        except pika.exceptions.AMQPError as problem:
            raise EvidenceUnavailable(self.where, f"firehose: {type(problem).__name__}") from None

    def _missing_right(self, text: str) -> str:
        broker = self._deployment.broker
        assert broker is not None
        # "ACCESS_REFUSED - configure access to queue … refused"; before 3.11 without the first word.
        right = next((right for right in ("configure", "write", "read") if f"{right} access" in text), "a")
        return (
            f"user {broker.user!r} lacks {right} permission on vhost {broker.vhost!r}; needed: configure,"
            f" write and read on calorimeter.firehose.*, read on {TRACE} (broker: {text})"
        )

    def _record(self) -> None:
        due = 0.0
        try:
            while not self._stop.is_set():
                if self._settling or time.monotonic() >= due:
                    # Before the beat: a thread that waits for its return then reads `why_incomplete`.
                    self._check_overflow()
                    self._channel.basic_publish(self._exchange, "", b"")
                    self._beats_sent += 1
                    due = time.monotonic() + BEAT_S
                self._connection.process_data_events(time_limit=0.02)
                with self._news:
                    self._news.notify_all()
            self._check_overflow()
        except pika.exceptions.AMQPError as problem:
            self._lost(f"the connection to the broker was lost ({type(problem).__name__})")
        except Exception as problem:
            # After any error: a recording that ended early must not pass as complete.
            self._lost(f"the recorder failed ({type(problem).__name__})")
        finally:
            self._disconnect()
            self._ended = True
            with self._news:
                self._news.notify_all()

    def _check_overflow(self) -> None:
        declared = self._channel.queue_declare(self._dropped, passive=True)
        if declared.method.message_count:
            self._lost(f"the broker dropped events: more than {self._length} or {QUEUE_BYTES} bytes waited")

    def _receive(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        if method.exchange == self._exchange:
            self._beat_back()
        elif method.routing_key == f"publish.{self._exchange}":
            self._beats_traced += 1
        elif not method.routing_key.startswith("publish.calorimeter."):  # another recorder's beat
            self._event(method.routing_key, properties.headers or {}, body)

    def _beat_back(self) -> None:
        # The channel traces a message before it routes it, both to this queue: the trace event comes first.
        self._beats_back += 1
        if self._beats_back > self._beats_traced:
            self._lost("tracing is off, or was switched off during the recording")

    def _event(self, key: str, headers: dict[str, Any], body: bytes) -> None:
        if len(self._events) >= self._keep:
            self._lost(f"more than {self._keep} events")
            return
        try:
            event = rpc_message.read(len(self._events), time.time_ns(), key, headers, body)
        except ValueError:
            self._lost("an event could not be read")
            return
        self._events.append(event)

    def _lost(self, why: str) -> None:
        if why not in self._why:
            self._why.append(why)

    def _disconnect(self) -> None:
        with contextlib.suppress(pika.exceptions.AMQPError, OSError):
            self._connection.close()
