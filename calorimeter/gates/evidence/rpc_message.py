"""Parses a traced message, without the user's identity and token.

The body is an oslo.messaging envelope whose `oslo.message` contains the user's complete security context.
Only the fields of `Delivery` are copied from it; the text is dropped here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from calorimeter.core.toml import Model


class Delivery(Model):
    """One event of the firehose: a message published, or delivered to a consumer.

    `seq` counts the events of one recording from 0 in order of arrival, `t_ns` is when it was received
    (ns since the epoch). Every channel of the broker reports independently: under concurrency the order
    of arrival is not the order of dispatch. `queue` is the queue that it was delivered from (empty if
    published), `exchange` the exchange that it was published to, `routed` the queues that it was routed
    to (only if published). `connection` and `channel` are the publisher's or the consumer's. Without a
    readable RPC body `method` and the ids are None; a reply has `reply` true and only a `msg_id`.
    """

    seq: int
    t_ns: int
    kind: Literal["publish", "deliver"]
    queue: str
    exchange: str
    routing_keys: tuple[str, ...]
    routed: tuple[str, ...]
    connection: str
    channel: int
    redelivered: bool
    method: str | None = None
    request_id: str | None = None
    msg_id: str | None = None
    unique_id: str | None = None
    reply_q: str | None = None
    reply: bool = False
    failure: bool = False
    stack_id: str | None = None
    stack_name: str | None = None
    resource_id: str | None = None
    traversal: str | None = None


def read(seq: int, t_ns: int, routing_key: str, headers: Mapping[str, Any], body: bytes) -> Delivery:
    """The event of one message of `amq.rabbitmq.trace`.

    Raises ValueError if the headers are not those of a trace event. A body that is no RPC message is not an
    error.
    """
    kind, _, place = routing_key.partition(".")
    if kind not in ("publish", "deliver"):
        raise ValueError(f"a trace event has the routing key publish.… or deliver.…, not {routing_key!r}")
    try:
        return Delivery(
            seq=seq,
            t_ns=t_ns,
            kind="deliver" if kind == "deliver" else "publish",
            queue=place if kind == "deliver" else "",
            exchange=headers["exchange_name"],
            routing_keys=tuple(headers["routing_keys"]),
            routed=tuple(headers.get("routed_queues", ())),
            connection=headers["connection"],
            channel=headers["channel"],
            redelivered=bool(headers.get("redelivered", 0)),
            **_rpc(body),
        )
    except (KeyError, TypeError) as problem:
        raise ValueError(f"not the headers of a trace event ({type(problem).__name__})") from None


def _rpc(body: bytes) -> dict[str, Any]:
    try:
        envelope = json.loads(body)
        inner = envelope["oslo.message"]
        message = json.loads(inner) if isinstance(inner, str) else inner
        if not isinstance(message, dict):
            return {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    known = {
        "method": _text(message.get("method")),
        "request_id": _text(message.get("_context_request_id")),
        "msg_id": _text(message.get("_msg_id")),
        "unique_id": _text(message.get("_unique_id")),
        "reply_q": _text(message.get("_reply_q")),
        "reply": "result" in message and "method" not in message,
        "failure": "method" not in message and message.get("failure") is not None,
    }
    args = message.get("args")
    return {**known, **_arguments(args)} if isinstance(args, dict) else known


def _arguments(args: dict[str, Any]) -> dict[str, Any]:
    """The ids of the stack and the resource among a call's arguments."""
    identity = args.get("stack_identity") or args.get("identity")
    identity = identity if isinstance(identity, dict) else {}
    return {
        "stack_id": _text(args.get("stack_id") or identity.get("stack_id")),
        "stack_name": _text(args.get("stack_name") or identity.get("stack_name")),
        "resource_id": _text(args.get("resource_id")),
        "traversal": _text(args.get("current_traversal")),
    }


def _text(value: object) -> str | None:
    """A short scalar as text, else None: an identifier is neither a structure nor a document."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if len(text) <= 255 else None
