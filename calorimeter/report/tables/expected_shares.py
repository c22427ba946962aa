"""Expected share of each backend: by the source hash of the load's own addresses, and by chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import pandas as pd

from calorimeter.core.deployment import Deployment
from calorimeter.core.expect import Balance
from calorimeter.core.recorded.polled_rows import PROXY_TOTALS
from calorimeter.core.recorded.sample_stream import SampleBlock, SampleStream
from calorimeter.core.source_hash import HashRules, HashServer, SourceHash, Unpredictable
from calorimeter.core.statistics import Ints

CONFIDENCE = 0.99
"""Probability that a band holds the shares of all servers of a section, for random source addresses."""


class ConnectionTally:
    """Counts the connections that were opened. It keeps 8 bytes for each, twice that to sort them."""

    def __init__(self, samples: SampleStream) -> None:
        self._samples = samples
        self._apis = sorted({kind.partition(" ")[0] for kind in samples.kinds})
        self._api_of = np.array(
            [self._apis.index(kind.partition(" ")[0]) for kind in samples.kinds], np.int64
        )
        self._keys = np.zeros(0, dtype=np.int64)
        self._new: list[Ints] = []
        self._sources = np.zeros(0, dtype=np.bool_)

    def add(self, block: SampleBlock) -> None:
        """Count those of a block; a request without a source port was never sent."""
        seen = np.bincount(block.source, minlength=len(self._sources)) > 0
        seen[: len(self._sources)] |= self._sources
        self._sources = seen
        sent = block.source_port > 0
        keys = self._api_of[block.kind[sent]] << 48
        keys |= block.source[sent].astype(np.int64) << 16
        keys |= block.source_port[sent].astype(np.int64)
        self._new.append(_different(keys))
        if sum(map(len, self._new)) > max(len(self._keys), _FEW_KEYS):
            self._merge()

    def _merge(self) -> None:
        self._new.append(self._keys)
        keys, self._keys = np.concatenate(self._new), np.zeros(0, dtype=np.int64)
        self._new.clear()
        self._keys = _different(keys)

    @property
    def sources(self) -> int:
        """How many different source addresses there were."""
        return int(self._sources.sum())

    def table(self) -> pd.DataFrame:
        """By API and source: `api`, `source`, `n` (different source ports)."""
        self._merge()
        every = self._keys >> 16  # in order already
        firsts = np.flatnonzero(np.diff(every, prepend=-1))
        pairs, counts = every[firsts], np.diff(firsts, append=len(every))
        names = np.asarray(self._samples.sources, dtype=object)
        table = {
            "api": [self._apis[number] for number in pairs >> 32],
            "source": names[pairs & 0xFFFFFFFF] if len(pairs) else [],
        }
        return pd.DataFrame({**table, "n": counts})


_FEW_KEYS = 1 << 21
"""Connections that are sorted in at a time, at least."""


def _different(keys: Ints) -> Ints:
    """The different ones, in order; the array is sorted in place."""
    keys.sort()
    return np.asarray(keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]])


def bands(opened: pd.DataFrame, servers: pd.DataFrame, deployment: Deployment | None) -> pd.DataFrame:
    """The predicted share of each server: `group`, `name`, `predicted`, `low`, `high`.

    `predicted` is what the source hash of deployment.toml's [expect] gives the connections of `opened`;
    `low` and `high` hold the shares of random addresses, as many and as busy as these, in 99 % of cases
    (binomial, Bonferroni over the servers). Empty if the section does not balance by source, or if a server
    left the rotation during the run: then there is no single prediction.
    """
    rows: list[dict[str, object]] = []
    if deployment is not None and len(opened) and len(servers):
        version = next((proxy.version for proxy in deployment.proxy), None)
        for api in ("rest", "cfn"):
            described = deployment.api(api)
            if described is None:
                continue
            section = described.proxy_section
            wanted = deployment.expect.of(api)
            hashing = _hash(servers[servers["section"] == section], wanted, version)
            if hashing is not None:
                rows += _of_section(section, hashing, opened[opened["api"] == api])
    return pd.DataFrame(rows, columns=["group", "name", "predicted", "low", "high"])


def _hash(servers: pd.DataFrame, wanted: Balance, version: str | None) -> SourceHash | None:
    rows = servers[~servers["server"].isin(PROXY_TOTALS)]
    # HAProxy gives a server's number by its place in the file, which is the order of its statistics.
    order = list(dict.fromkeys(rows["server"]))
    constant = rows.groupby("server")["weight"].nunique().max() == 1 if len(rows) else False
    if not constant or not rows["status"].str.startswith(("UP", "no check")).all():
        return None
    weights = rows.groupby("server")["weight"].first()
    try:
        rules = HashRules.from_words(wanted.balance, wanted.hash_type, haproxy=version)
        found = [
            HashServer(name=name, puid=number + 1, weight=int(weights[name]))
            for number, name in enumerate(order)
        ]
        return SourceHash(found, rules)
    except Unpredictable:
        return None


def _of_section(section: str, hashing: SourceHash, opened: pd.DataFrame) -> list[dict[str, object]]:
    if opened.empty:
        return []
    try:
        given = opened["source"].map(hashing.server)
    except Unpredictable:
        return []
    n = opened["n"].to_numpy(dtype=np.float64)
    predicted: Mapping[str, float] = (opened["n"].groupby(given).sum() / n.sum()).to_dict()
    # The number of equally busy sources whose shares would scatter as much (Kish 1965).
    sources = n.sum() ** 2 / (n**2).sum()
    shares = hashing.shares
    z = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / max(1, len(shares)))
    rows: list[dict[str, object]] = []
    for name, share in shares.items():
        spread = z * math.sqrt(share * (1 - share) / sources)
        low, high = max(0.0, share - spread), min(1.0, share + spread)
        row = {"name": name, "predicted": predicted.get(name, 0.0), "low": low, "high": high}
        rows.append({"group": section, **row})
    return rows
