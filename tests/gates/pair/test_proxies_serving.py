"""Which proxy serves: counters that rise, start again and cannot be read; addresses of hosts."""

from __future__ import annotations

from typing import Any

from calorimeter.core.deployment import Api, Backend, Deployment, Part, Proxy
from calorimeter.gates.evidence.proxy_state import ServerStat, read_tables
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.pair.pair_faults import why_no_pair
from calorimeter.gates.pair.proxies_serving import ServedCounters, holdings, parts_of, printed_address


class Stats:
    """The statistics of one proxy, one reading after another; None: it cannot be read."""

    name = "p1"

    def __init__(self, *counts: int | None) -> None:
        self.counts = list(counts)

    def show_stat(self) -> tuple[ServerStat, ...]:
        """One section, and another one that does not count."""
        count = self.counts.pop(0)
        if count is None:
            raise EvidenceUnavailable("p1", "is off")
        row: dict[str, Any] = {"name": "BACKEND", "kind": "backend", "status": "UP"}
        return tuple(ServerStat(section=s, stot=count if s == "r" else 99, **row) for s in ("r", "other"))


def test_only_rises_of_the_apis_sections_are_kept() -> None:
    """A proxy that started again counts from zero; one that is off is asked again."""
    counters = ServedCounters(Stats(5, 5, 7, None, 9, 1), ["r"])  # type: ignore[arg-type]
    for _ in range(6):
        counters.poll()
    assert [sign.connections for sign in counters.served] == [2, 2, 1]
    assert all(sign.since_ns < sign.seen_ns for sign in counters.served)


def test_addresses_are_whole_words() -> None:
    """`10.0.0.25` is not in a list with `10.0.0.250/32`; a command that fails says nothing."""
    text = "2: eth0    inet 10.0.0.250/32 scope global eth0\\       valid_lft forever\n"
    assert printed_address(text, "10.0.0.250")
    assert not printed_address(text, "10.0.0.25")
    found = holdings({"p1": "echo inet 10.0.0.9/24", "p2": "false"}, "10.0.0.9")
    assert [(each.proxy, each.holds) for each in found] == [("p1", True)]


def test_parts_belong_to_a_proxy_by_name_or_by_key() -> None:
    """The proxy itself, its keepalived, its host."""
    rest = Api(
        url="http://10.0.0.9:8004/v1", proxy_section="r", backends=(Backend(name="a", address="h:1"),)
    )
    parts = (
        Part(name="p1", kind="proxy"),
        Part(name="k1", kind="keepalived", proxy="p1"),
        Part(name="B", kind="host"),
    )
    described = Deployment(name="d", rest=rest, proxy=(Proxy(name="p1"),), parts=parts)
    found = [parts_of(described, "p1", kind) for kind in ("proxy", "keepalived", "host")]
    assert [[part.name for part in each] for each in found] == [["p1"], ["k1"], []]


def test_a_single_proxy_and_proxies_without_vrrp_are_no_pair() -> None:
    """The reason is what the verdict says."""
    from calorimeter.gates.context import Context, Settings

    rest = Api(
        url="http://10.0.0.9:8004/v1", proxy_section="r", backends=(Backend(name="a", address="h:1"),)
    )
    one = Deployment(name="d", rest=rest, proxy=(Proxy(),))
    two = Deployment(name="d", rest=rest, proxy=(Proxy(name="a"), Proxy(name="b")))
    assert "there is no pair of proxies: deployment.toml describes 1" in why_no_pair(
        Context(one, Settings())
    )
    assert "no [proxy.vrrp] says that the 2 proxies" in why_no_pair(Context(two, Settings()))


def test_stick_tables_are_read_with_their_entries() -> None:
    """`show table` of HAProxy 2.6."""
    text = "# table: r, type: ip, size:102400, used:3\n# table: other, type: ip, size:10, used:0\n\n"
    assert read_tables(text) == {"r": 3, "other": 0}
