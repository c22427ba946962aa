"""What a `balance` algorithm of HAProxy promises about where connections go.

Measured on HAProxy 2.6.12 (`tests/gates/affinity/test_policies_haproxy.py` repeats it): `roundrobin` and
`static-rr` keep the count of every server, in any run of successive connections, within `IN_TURN_BOUND` of
its share by weight, also after servers went and returned. `random` draws a place on the ring of `hash-type
consistent`, so a server's share is its share of that ring, not of the weights. `leastconn` takes the server
with the lowest (connections + 1) / weight, one without connections first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import accumulate

from calorimeter.core.expect import StickOn, first_word
from calorimeter.core.source_hash import HashRules, HashServer, SourceHash

IN_TURN_BOUND = 2.0
"""Connections by which a server may be ahead or behind in any run; 1 if all weights are equal."""


class Policy(Enum):
    """What decides where a connection goes."""

    SOURCE = ("the client's address", "source")
    IN_TURN = ("the servers' turn", "roundrobin", "static-rr")
    FEWEST = ("the number of connections", "leastconn")
    CHANCE = ("chance", "random")
    FIRST = ("the order of the servers", "first")
    REQUEST = ("a part of the request", "uri", "url_param", "hdr", "rdp-cookie", "hash")
    STICKY = ("the server that a client was given first",)

    @classmethod
    def of(cls, balance: str, stick_on: StickOn | None = None) -> Policy:
        """The policy of the arguments of `balance`, as in `random(2)` or `hdr(host) use_domain_only`.

        With `stick_on` these decide about new clients only.
        """
        if stick_on is not None:
            return cls.STICKY
        word = first_word(balance)
        return next((policy for policy in cls if word in policy.value[1:]), cls.REQUEST)

    @property
    def decides(self) -> str:
        """What decides, as a phrase."""
        return str(self.value[0])

    @property
    def one_at_a_time(self) -> bool:
        """Whether the choice depends on other connections, so that it is tested with one at a time."""
        return self not in (Policy.SOURCE, Policy.REQUEST, Policy.STICKY)


def random_shares(servers: Sequence[HashServer], haproxy: str | None) -> dict[str, float]:
    """Usable server → its share of the ring, from which `balance random` draws. Raises Unpredictable."""
    rules = HashRules.from_words(hash_type="consistent", haproxy=haproxy)
    return SourceHash(servers, rules).shares


def in_turn_bound(shares: Iterable[float]) -> float:
    """The bound of `out_of_turn` for these shares."""
    return 1.0 if len(set(shares)) == 1 else IN_TURN_BOUND


def out_of_turn(turns: Sequence[str | None], server: str, share: float) -> tuple[float, float]:
    """By how many connections a server was surely ahead and behind, at most, in a run of successive turns.

    `turns` are the servers of successive connections, None where it is not known: such a turn may have been
    anybody's.
    """
    ahead = accumulate(((turn == server) - share for turn in turns), initial=0.0)
    behind = accumulate((share - (turn == server or turn is None) for turn in turns), initial=0.0)
    return _largest_rise(ahead), _largest_rise(behind)


def _largest_rise(heights: Iterable[float]) -> float:
    lowest, most = float("inf"), 0.0
    for height in heights:
        lowest = min(lowest, height)
        most = max(most, height - lowest)
    return most


def out_of_order(held: Sequence[str], weights: dict[str, int]) -> tuple[int, str] | None:
    """The first of the held connections that `leastconn` did not give to a server with the fewest.

    `held` are the servers of connections that were opened one after another and stayed open, on servers
    that had none before. Returns its number from 1, and a server with fewer; None if all are in order.
    """
    count = dict.fromkeys(weights, 0)

    def load(server: str) -> float:
        return (count[server] + 1) / weights[server] if count[server] else 0.0

    for number, server in enumerate(held, start=1):
        least = min(count, key=load)
        if server not in count or load(server) > load(least) * (1 + 1e-9):
            return number, least
        count[server] += 1
    return None
