"""Health checks: whether the proxy really checks its servers."""

from __future__ import annotations

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed


class CheckState(Model):
    """One server row of `show stat`.

    `check_status` is HAProxy's (`L7OK`, `L4CON`, `INI`, …), empty if no check is configured;
    `check_duration_ms` is the last check's, None if none has completed; `backup` servers get clients
    only when all others are down.
    """

    section: str
    server: str
    status: str
    check_status: str
    check_duration_ms: int | None = None
    backup: bool = False

    @property
    def waiting(self) -> bool:
        """Whether it is checked, but no check has completed yet."""
        return self.check_status.startswith("INI")


class ProxyStates(Model):
    """Evidence of H1: the proxy's server states, and the servers that the deployment describes."""

    source: str
    described: dict[str, tuple[str, ...]]
    states: tuple[CheckState, ...]


def checks_really_run(evidence: ProxyStates) -> Judgement:
    """Whether every described server has completed a health check, by the proxy's own state."""
    found = {(state.section, state.server): state for state in evidence.states}
    described = [(section, name) for section, names in evidence.described.items() for name in names]
    if not found:
        return inconclusive(f"{evidence.source} lists no servers")
    missing = [w for w in described if w not in found]
    unchecked = [w for w in described if w in found and not _has_check(found[w])]
    waiting = [w for w in described if w in found and found[w].waiting]
    figures: dict[str, Figure] = {
        "servers": len(described),
        "checked": len(described) - len(missing) - len(unchecked) - len(waiting),
        "unchecked": len(unchecked),
        "missing": len(missing),
        "evidence": evidence.source,
    }
    if unchecked:
        how_many = "any" if len(unchecked) == len(described) else f"{len(unchecked)} of {len(described)}"
        return failed(
            f"the proxy does not check {how_many} of its servers: `option httpchk` alone checks nothing, "
            "the server lines need the word `check`",
            [f"{section}/{name}: {found[section, name].status!r}" for section, name in unchecked],
            **figures,
        )
    if missing:
        return failed(
            f"{len(missing)} of {len(described)} described servers are not in the proxy",
            [f"{section}/{name}" for section, name in missing],
            **figures,
        )
    backups = [w for w in described if found[w].backup]
    if backups:
        return failed(
            f"{len(backups)} of {len(described)} servers are only backups: they get clients only "
            "when all others are down, so their health checks do not protect clients",
            [f"{section}/{name}" for section, name in backups],
            **figures,
        )
    if waiting:
        return inconclusive(f"{len(waiting)} servers have not completed their first check yet", **figures)
    return passed(f"the proxy has completed health checks of all {len(described)} servers", **figures)


def _has_check(state: CheckState) -> bool:
    return bool(state.check_status) and state.status != "no check"
