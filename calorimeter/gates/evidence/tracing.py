"""Switches the broker's tracing on while it is needed, and off again even if the suite is killed.

A guardian process (`tracing_guardian`) switches it on at every node, waits until its standard input is
closed, and switches it off. The kernel also closes that pipe for a killed suite, so tracing is restored
after a crash the same way as after a normal end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.host import guardian
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.tracing_guardian import SwitchedNode, TracingClaim, TracingOrder
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

ON_WITHIN_S = 30.0
OFF_WITHIN_S = 30.0
NOT_IN_TIME = f"tracing was not switched on within {ON_WITHIN_S:g} s"


@dataclass(frozen=True, slots=True)
class TracedCluster:
    """The nodes whose tracing is on, and those whose events will be missing.

    `api` is the management API of a node that answers. `nodes` maps each traced node to its order,
    `untraced` each other node of the cluster that runs to the reason why it is not traced.
    """

    api: BrokerApi
    nodes: Mapping[str, TracingOrder]
    untraced: Mapping[str, str]

    def gaps(self) -> list[str]:
        """Why events of nodes are missing: their tracing was never on, or is off by now.

        RabbitMQ keeps the switch in a node's memory: a node that was restarted traces no more.
        """
        found = [f"tracing is not on at {node}: {why}" for node, why in self.untraced.items()]
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            off = pool.map(_why_off, self.nodes, self.nodes.values())
            return [*found, *filter(None, off)]


def _why_off(node: str, order: TracingOrder) -> str | None:
    """Why a node's tracing is off, or not known to be on; None if it is on."""
    try:
        with order.api() as api:
            if (there := api.overview().node) != node:
                return f"{api.where} answered for {node}, and answers for {there} now"
            return None if api.tracing() else f"tracing of {node} was switched off during the recording"
    except EvidenceUnavailable as problem:
        return f"whether tracing of {node} is still on is unknown: it {problem.why}"


@contextmanager
def tracing(deployment: Deployment, *, state: Path | None = None) -> Iterator[TracedCluster]:
    """Tracing of the deployment's vhost is on, at each node that can be reached, while this is entered.

    Afterwards tracing is as before: it stays on if somebody else had switched it on, or if another run of
    the suite still uses it. Raises `EvidenceUnavailable` (see `BrokerApi`) if no node's tracing could be
    switched on, also at the end if one could not be switched off. `state` is the folder through which runs
    on one machine know of each other.
    """
    with BrokerApi.of(deployment) as api:
        orders = {order.url: order for order in _orders(deployment, state)}
        with _guarded(orders) as switched:
            on = {each.node: orders[each.url] for each in switched if not each.why}
            yield TracedCluster(api, on, _untraced(api, on, switched))


def _untraced(
    api: BrokerApi, on: Mapping[str, TracingOrder], switched: list[SwitchedNode]
) -> dict[str, str]:
    """The nodes of the cluster that run and are not traced, each with the reason."""
    failed = "; ".join(f"{each.url} {each.why}" for each in switched if each.why)
    why = failed or "no node of [broker] names its management API"
    return {node.name: why for node in api.nodes() if node.running and node.name not in on}


def reachable(deployment: Deployment) -> list[str]:
    """The nodes whose own management API answers: tracing can be switched on there."""
    found = []
    for order in _orders(deployment, None):
        try:
            with order.api() as api:
                found.append(api.overview().node)
        except EvidenceUnavailable:
            continue
    return found


def restore(deployment: Deployment, *, state: Path | None = None) -> bool:
    """Switch tracing off where a run of this suite that was killed with its guardian left it on.

    So it does for a node that was away when tracing was switched off at the others. Returns whether it did.
    Raises `EvidenceUnavailable` and InputError if it cannot be switched off.
    """
    if deployment.broker is None:
        return False
    claims = [TracingClaim(order, f"restoring-{os.getpid()}") for order in _orders(deployment, state)]
    return _release([claim for claim in claims if claim.was_taken()])


def _release(claims: Iterable[TracingClaim]) -> bool:
    """Release all claims; whether tracing was switched off. Raises what the first failure raised."""
    problems: list[EvidenceUnavailable | InputError] = []
    done = []
    for claim in claims:
        try:
            done.append(claim.release())
        except (EvidenceUnavailable, InputError) as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    return any(done)


def _orders(deployment: Deployment, state: Path | None) -> list[TracingOrder]:
    broker = deployment.broker
    assert broker is not None
    password = deployment.reveal(broker.password) if broker.management else ""
    return [
        TracingOrder(
            url=url.rstrip("/"),
            user=broker.user,
            password=password,
            vhost=broker.vhost,
            verify=deployment.tls.for_requests,
            state=str(state or paths.state()),
        )
        for url in broker.management
    ]


@contextmanager
def _guarded(orders: Mapping[str, TracingOrder]) -> Iterator[list[SwitchedNode]]:
    guard = guardian.start(
        "calorimeter.gates.evidence.tracing_guardian",
        order=json.dumps([order._asdict() for order in orders.values()]),
        mute=True,
    )
    switched: list[SwitchedNode] = []
    try:
        switched = _heed(guardian.read_reply(guard, ON_WITHIN_S), [*orders])
        yield switched
    finally:
        if guardian.dismiss(guard, OFF_WITHIN_S) != 0:
            # The guardian died, or a node is away: release the claims here.
            on = [each.url for each in switched if not each.why] or orders
            _release(TracingClaim(orders[url], f"{guard.pid}") for url in on)


def _heed(answer: str | None, urls: list[str]) -> list[SwitchedNode]:
    """What the guardian could switch on. Raises `EvidenceUnavailable` if it is nothing."""
    try:
        switched = [SwitchedNode(**each) for each in json.loads(answer)] if answer is not None else []
    except (ValueError, TypeError):
        answer, switched = "", []
    if any(not each.why for each in switched):
        return switched
    died = "tracing was not switched on: its guardian process died" if answer is not None else NOT_IN_TIME
    url, _, why = switched[0] if switched else (urls[0], "", died)
    raise EvidenceUnavailable(f"broker management {url}", why)
