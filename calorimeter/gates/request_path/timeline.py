"""One request's path as lines of text, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.request_path.path import RequestPath, RpcLeg

SHOWN_LINES = 200

Step = tuple[int, str, str]
"""When (ns since the epoch), who, what."""


def timeline(path: RequestPath, hosts: Mapping[str, str]) -> list[str]:
    """Lines of `+ms  who  what`, ms since the request was sent.

    `hosts` maps engine processes (text) to their hosts. The broker's reports have a delay (see `RpcLeg`),
    so single ms mean little.
    """
    sent_ns = path.request.sent_ns
    # Sorting is stable: simultaneous steps keep their order.
    steps = sorted(_steps(path, hosts), key=lambda step: step[0])
    lines = [f"{(at_ns - sent_ns) / 1e6:+10.1f} ms  {who:<38}  {what}" for at_ns, who, what in steps]
    if len(lines) > SHOWN_LINES:
        lines = [*lines[:SHOWN_LINES], f"… and {len(lines) - SHOWN_LINES} more"]
    return lines


def _steps(path: RequestPath, hosts: Mapping[str, str]) -> Iterator[Step]:
    request = path.request
    yield request.sent_ns, f"client {request.source}:{request.source_port}", f"sends {request.operation}"
    yield (
        request.sent_ns,
        "proxy",
        f"sends it to {path.backend}" if path.backend else "? its log has no line for the request",
    )
    for leg in path.legs:
        yield from _of_leg(leg, hosts)
    yield (
        request.done_ns,
        "client",
        f"receives the answer {request.status}" if request.status else "receives no answer",
    )


def _of_leg(leg: RpcLeg, hosts: Mapping[str, str]) -> Iterator[Step]:
    about = f" of resource {leg.resource_id}" if leg.resource_id else ""
    what = f"{leg.method}{about}"
    if leg.published_ns is not None:
        yield leg.published_ns, _name(leg.publisher, hosts), f"publishes {what} to {leg.queue}"
    consumer = _name(leg.consumer, hosts)
    if leg.delivered_ns is not None:
        again = " (redelivered)" if leg.redelivered else ""
        yield leg.delivered_ns, consumer, f"receives {what}{again}"
    if leg.replied_ns is not None:
        yield leg.replied_ns, consumer, f"{'fails' if leg.failure else 'answers'} {leg.method}"


def _name(process: BrokerProcess | None, hosts: Mapping[str, str]) -> str:
    if process is None:
        return "? unknown process"
    host = hosts.get(str(process))
    return f"{host} {process.role}[{process.pid}]" if host else str(process)
