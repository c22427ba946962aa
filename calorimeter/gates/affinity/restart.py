"""S9: clients are on the same backends after the proxies were restarted."""

from __future__ import annotations

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.disturbance import disturbance
from calorimeter.gates.affinity.failover_evidence import lost_changes, places
from calorimeter.gates.affinity.turns import hashed, no_home
from calorimeter.gates.clients.lost_lines import loss
from calorimeter.gates.clients.visits import Visits, no_violation, strength


class Restart(Model):
    """Visits to one API before and after the proxies `restarted`, one after another.

    `restarted` is empty if no client has a backend of its own, so that nothing was done. `back` is whether
    each proxy then showed the servers as before.
    """

    api: str
    restarted: tuple[str, ...]
    back: bool
    before: Visits
    after: Visits


class Restarts(Model):
    """The restart of the proxies, as it was seen at all APIs."""

    apis: tuple[Restart, ...]


def clients_return(evidence: Restarts) -> Judgement:
    """Whether each client has the backend after the restart that it had before.

    A hash remembers nothing, and a cookie is the client's. A stick table is lost with its process, unless
    peers keep it.
    """
    return both_apis.check_each_api(
        evidence.apis, lambda one: one.api, lambda one: no_home(one.before) or _return(one)
    )


def _return(evidence: Restart) -> Judgement:
    before, after = places(evidence.before), places(evidence.after)
    moved = [
        f"{client}: {home} before, {after[client]} after"
        for client, home in before.items()
        if home is not None and after.get(client) not in (None, home)
    ]
    proxies = ", ".join(evidence.restarted)
    figures: dict[str, Figure] = {**strength(evidence.after), "restarted": proxies, "moved": len(moved)}
    if problem := _incomparable(evidence):
        return inconclusive(problem, **figures)
    wanted = evidence.before.described.wanted
    if moved:
        return failed(
            f"{len(moved)} of {len(before)} clients had another {evidence.before.name} backend after "
            f"{proxies} was restarted ({wanted} is wanted)",
            moved,
            **figures,
        )
    if problem := lost_changes(evidence.before, evidence.after):
        return inconclusive(problem, **figures)
    # Clients that stick may all have come to one backend (S7): without memory they would spread again.
    could_move = set(before.values()) if hashed(evidence.before) else evidence.before.servers
    if len(could_move) < 2:
        why = f"all {len(before)} clients are on one backend, so returning to it proves nothing"
        return inconclusive(why, **figures)
    why = (
        f"each of {len(before)} clients was on the same {evidence.before.name} backend after {proxies} was "
        f"restarted ({wanted}){loss(evidence.before, evidence.after)}"
    )
    return no_violation(why, len(before), "clients that do not return", figures)


def _incomparable(evidence: Restart) -> str | None:
    """Why the visits before and after cannot be compared; None if they can."""
    if not evidence.back:
        return "a proxy did not show its servers as before in time after it was started (see gates H)"
    disturbed = disturbance(evidence.before) or disturbance(evidence.after)
    return disturbed.why if disturbed else None
