"""The servers behind the proxies, from the polls of `watch/proxy.jsonl`."""

from __future__ import annotations

from socket import AF_INET, AF_INET6

from calorimeter.core.deployment import Api, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import polled_rows
from calorimeter.core.recorded.polled_rows import MOST_NAMES, PROXY_TOTALS, Row
from calorimeter.core.source_addresses import SourceAddresses
from calorimeter.core.source_hash import HashServer
from calorimeter.live.live_figures import BackendNow, BackendState, DataSource
from calorimeter.live.predicted_shares import PredictedShares, predicted_shares
from calorimeter.live.windowed_counts import WindowedCounts, bounded

BEHIND_NS = 10 * 10**9
"""A proxy whose newest answer is this much older than another one's does not say how servers are now."""

STATES: dict[str, BackendState] = {
    "UP": "up",
    "no check": "unchecked",
    "DOWN": "down",
    "NOLB": "down",
    "MAINT": "maintenance",
    "DRAIN": "drain",
}
"""The beginning of HAProxy's word for a server, and ours."""


class LiveBackends:
    """The newest rows of each proxy, and what they counted in the window."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._version = next((proxy.version for proxy in deployment.proxy), None)
        self._apis = {api.proxy_section: name for name in ("rest", "cfn") if (api := deployment.api(name))}
        self._rows: dict[str, list[Row]] = {}
        self._counts: WindowedCounts[tuple[str, str, str]] = WindowedCounts()
        self._problem = (0, "")
        self._predictions: dict[str, tuple[object, PredictedShares]] = {}

    @property
    def first_ns(self) -> int:
        """When counting began; 0 before."""
        return self._counts.first_ns

    def add(self, poll: Row | None) -> None:
        """Add a line of the file; None is a damaged one."""
        if poll is not None and "unavailable" in poll:
            self._problem = (polled_rows.moment(poll) or 0, str(poll["unavailable"])[:500])
            return
        rows = polled_rows.of_poll(poll, polled_rows.servers)
        if not rows:
            return
        proxy, t_ns = rows[0]["proxy"], rows[0]["t_ns"]
        own = [row for row in rows if row["section"] in self._apis and row["server"] not in PROXY_TOTALS]
        if len(self._rows) < MOST_NAMES or proxy in self._rows:
            self._rows[proxy] = own[:MOST_NAMES]
            counters = {(proxy, row["section"], row["server"]): row["stot"] for row in own[:MOST_NAMES]}
            self._counts.add(proxy, t_ns, counters)

    def sources(self) -> list[DataSource]:
        """One for each proxy, and one for a failure that is newer than some proxy's answer."""
        at = {proxy: rows[0]["t_ns"] for proxy, rows in self._rows.items() if rows}
        found = [DataSource(name=f"proxy {proxy}", at_ns=t_ns) for proxy, t_ns in at.items()]
        failed_ns, why = self._problem
        if failed_ns > min(at.values(), default=0):
            found.append(DataSource(name="proxy", at_ns=0, problem=why))
        return found

    def figures(self, now_ns: int, users: int) -> tuple[list[BackendNow], dict[str, str]]:
        """The servers by section, in the order of the proxy's file, and by what each section's shares are
        predicted. `users` are those of a load that runs now."""
        grown = self._counts.grown(now_ns)
        newest = max((rows[0]["t_ns"] for rows in self._rows.values() if rows), default=0)
        fresh = {p: rows for p, rows in self._rows.items() if rows and rows[0]["t_ns"] > newest - BEHIND_NS}
        found: list[BackendNow] = []
        by: dict[str, str] = {}
        for section in self._apis:
            rows = [row for each in fresh.values() for row in each if row["section"] == section]
            if not rows:
                continue
            names = dict.fromkeys(row["server"] for row in rows)
            got = {name: sum(grown[proxy, section, name] for proxy in self._rows) for name in names}
            all_of_it = sum(got.values())
            predicted = self._predicted(section, _of_busiest(rows, grown), users)
            by[section] = predicted.by
            for name in names:
                own = [row for row in rows if row["server"] == name]
                state, status = _state(own)
                found.append(
                    BackendNow(
                        section=section,
                        name=name,
                        state=state,
                        status=status,
                        connections=bounded(got[name]),
                        total=bounded(sum(self._total(proxy, section, name) for proxy in self._rows)),
                        share=round(got[name] / all_of_it, 4) if all_of_it else None,
                        predicted=_rounded(predicted.shares.get(name)),
                        sessions=bounded(sum(row["scur"] for row in own)),
                        queued=bounded(sum(row["qcur"] for row in own)),
                    )
                )
        return found[:MOST_NAMES], by

    def _total(self, proxy: str, section: str, server: str) -> int:
        """A proxy's counter, also of one that does not answer now: a sum that falls would be a reset."""
        rows = self._rows[proxy]
        return sum(row["stot"] for row in rows if (row["section"], row["server"]) == (section, server))

    def _predicted(self, section: str, rows: list[Row], users: int) -> PredictedShares:
        api = self._apis[section]
        servers = tuple(
            HashServer(
                name=row["server"],
                puid=number + 1,  # HAProxy's number of a server is its place in the file
                weight=row["weight"],
                up=state_of(row["status"]) in ("up", "unchecked"),
            )
            for number, row in enumerate(rows)
        )
        key = (servers, users)
        if self._predictions.get(section, (None,))[0] != key:
            described = self._deployment.api(api)
            assert described is not None
            sources = _sources(self._deployment.clients.sources, described)
            shares = predicted_shares(
                servers, self._deployment.expect.of(api), self._version, sources, users
            )
            self._predictions[section] = (key, shares)
        return self._predictions[section][1]


def state_of(status: str) -> BackendState:
    """Our word for HAProxy's `UP 1/3`, `MAINT (via …)` and so on."""
    return next((state for word, state in STATES.items() if status.startswith(word)), "unknown")


def _state(rows: list[Row]) -> tuple[BackendState, str]:
    """The state of one server in the rows of all proxies, and their word for it."""
    states = {state_of(row["status"]) for row in rows}
    if len(states) == 1:
        return states.pop(), rows[0]["status"]
    return "differs", "; ".join(f"{row['proxy']}: {row['status']}" for row in rows)[:500]


def _of_busiest(rows: list[Row], grown: dict[tuple[str, str, str], int]) -> list[Row]:
    """The rows of the proxy that got the most connections: in a pair, one of two serves."""
    proxies = dict.fromkeys(row["proxy"] for row in rows)
    got = {
        proxy: sum(count for key, count in grown.items() if key[:2] == (proxy, rows[0]["section"]))
        for proxy in proxies
    }
    busiest = max(proxies, key=lambda proxy: got[proxy])
    return [row for row in rows if row["proxy"] == busiest]


def _sources(given: tuple[str, ...], api: Api) -> SourceAddresses:
    """The load's addresses of the family of an API's front; none if they are not valid."""
    try:
        return SourceAddresses(given).of_family(AF_INET6 if ":" in api.front.host else AF_INET)
    except InputError:
        return SourceAddresses(())


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
