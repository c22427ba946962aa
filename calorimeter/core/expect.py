"""`[expect]` of a deployment file: what the owner wants of the deployment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from calorimeter.core import bounds
from calorimeter.core.errors import nearest
from calorimeter.core.toml import Count, Model, Seconds

HASHED = frozenset({"source", "uri", "url_param", "hdr", "rdp-cookie", "hash"})
"""The balances that choose a server by a hash, to which `hash-type` applies."""
BALANCES = HASHED | {"roundrobin", "static-rr", "leastconn", "first", "random"}
"""The balances that HAProxy knows."""
HASH_TYPES = frozenset({"map-based", "consistent"})


def first_word(text: str) -> str:
    """The first word of `balance` or `hash-type`, without an argument in brackets."""
    return text.partition("(")[0].partition(" ")[0]


def _one_of(text: str, known: frozenset[str]) -> str:
    word = first_word(text)
    if word not in known:
        close = nearest(word, known)
        meant = f"; did you mean {close!r}?" if close else ""
        raise ValueError(f"valid: {', '.join(sorted(known))}{meant}")
    return text


BalanceName = Annotated[str, AfterValidator(lambda text: _one_of(text, BALANCES))]
HashType = Annotated[str, AfterValidator(lambda text: _one_of(text, HASH_TYPES))]
Weight = Annotated[int, bounds.HAPROXY_WEIGHT]
Connections = Annotated[int, bounds.HAPROXY_INTEGER]
StickOn = Literal["src", "cookie"]
"""What keeps a client on the server that it was given first: its address in a stick table, or a cookie."""
Moment = Annotated[float, bounds.MOMENT]


class ApiExpect(Model):
    """What the owner wants of one API; what is not given is as `[expect]` says for both.

    `weights` are by server name; a server without an entry has weight 1. With `stick_on`, `balance` chooses
    for new clients only.
    """

    balance: BalanceName | None = None
    stick_on: StickOn | None = None
    hash_type: HashType | None = None
    weights: dict[str, Weight] | None = None
    server_maxconn: Connections | None = None


class Expect(Model):
    """What the owner requires. Gates judge the bounds that the configuration implies against it.

    `balance` and `hash_type` are None if the owner does not say them; `of` then gives the guide's.

    Heat's messaging options have oslo.messaging's defaults: `rpc_timeout_s` is `rpc_response_timeout`,
    `heartbeat_s` is `heartbeat_timeout_threshold` (0: no heartbeats), `reconnect_delay_s` is
    `kombu_reconnect_delay`, `reconnect_interval_max_s` is `rabbit_interval_max`. `heartbeat_rate` is 3 in
    oslo.messaging 18; 2, the default of earlier ones, gives the longer bound.

    `max_growth_per_day` is how much memory, connections, queues, table rows and latency may grow in a day
    of constant load, as a share of their level: 1 means that they may double.
    """

    balance: BalanceName | None = None
    stick_on: StickOn | None = None
    hash_type: HashType | None = None
    weights: dict[str, Weight] = {}
    server_maxconn: Connections | None = None
    timeout_client_s: Seconds | None = None
    timeout_server_s: Seconds | None = None
    timeout_connect_s: Seconds | None = None
    timeout_queue_s: Seconds | None = None
    timeout_http_request_s: Seconds | None = None
    tcp_keepalive: bool = True
    max_detection_s: Seconds | None = None
    max_recovery_s: Seconds | None = None
    max_failover_s: Seconds | None = None
    cut_sessions: bool = False
    rpc_timeout_s: Seconds = 60.0
    heartbeat_s: Moment = 60.0
    heartbeat_rate: Count = 2
    reconnect_delay_s: Moment = 1.0
    reconnect_interval_max_s: Seconds = 30.0
    max_growth_per_day: Annotated[float, bounds.GROWTH] = 1.0
    rest: ApiExpect = ApiExpect()
    cfn: ApiExpect = ApiExpect()

    @property
    def longest_wait_s(self) -> float:
        """The longest that a client may wait for an error: the longest of the proxy's timeouts."""
        timeouts = (self.timeout_queue_s, self.timeout_server_s, self.timeout_connect_s)
        return max((timeout for timeout in timeouts if timeout is not None), default=60.0)

    def own_balance(self, api: str) -> str | None:
        """The balance wanted for the API `rest` or `cfn`; None if the file does not say it."""
        return self._own(api).balance or self.balance

    def of(self, api: str) -> Balance:
        """How the proxy is to balance the API `rest` or `cfn`."""
        own = self._own(api)
        limit = own.server_maxconn if own.server_maxconn is not None else self.server_maxconn
        return Balance(
            balance=self.own_balance(api) or GUIDE_BALANCE,
            stick_on=own.stick_on or self.stick_on,
            hash_type=own.hash_type or self.hash_type or "map-based",
            weights=self.weights if own.weights is None else own.weights,
            server_maxconn=limit,
        )

    def _own(self, api: str) -> ApiExpect:
        return self.rest if api == "rest" else self.cfn


GUIDE_BALANCE = "source"


class Balance(Model):
    """How the proxy is to balance one API (see `Expect`)."""

    balance: str
    stick_on: StickOn | None
    hash_type: str
    weights: dict[str, int]
    server_maxconn: int | None
