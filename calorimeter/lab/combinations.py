"""Shapes that no lab can have: each is refused in one line before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.lab import lab_profile
from calorimeter.lab.hosts import network
from calorimeter.lab.lab_topology import EVENTLET_RELEASES, LabTopology, Release


@dataclass(frozen=True, slots=True)
class Refusal:
    """A combination of options that is refused: whether it is asked for, and what the line says.

    `given` may name fields of the topology, as in `{heat}`.
    """

    refused: Callable[[LabTopology], bool]
    option: str
    given: str
    valid: str


RULES: tuple[Refusal, ...] = (
    Refusal(
        lambda asked: asked.proxy == "profile" and lab_profile.proxy_of(asked.profile) is None,
        "--proxy",
        "profile given without a profile that sets the proxy",
        "valid: guide, checked",
    ),
    Refusal(
        lambda asked: asked.peers and asked.proxy == "profile" and _has_stick_table(asked.profile),
        "--peers",
        "given with --profile {profile}, which has a stick table of its own",
        "valid: without it, or with --proxy checked",
    ),
    Refusal(
        lambda asked: asked.serve == "eventlet" and not _releases_of_apis(asked) <= {*EVENTLET_RELEASES},
        "--serve",
        "eventlet given with --heat {heat}, which has no programs heat-api and heat-api-cfn",
        "valid: gunicorn, uwsgi",
    ),
    Refusal(
        lambda asked: "backends" in asked.tls and "proxy" not in asked.tls,
        "--tls",
        "backends given without proxy",
        "valid: proxy,backends",
    ),
    Refusal(
        lambda asked: "proxy" in asked.tls and "backends" not in asked.tls and asked.mode == "tcp",
        "--mode",
        "tcp given with --tls proxy: the proxy could not tell the APIs to write https links",
        "valid: http, or --tls proxy,backends",
    ),
    Refusal(
        lambda asked: asked.balance == "uri" and asked.mode == "tcp",
        "--balance",
        "uri given with mode tcp, in which the proxy sees no requests",
        "valid: --mode http, or source",
    ),
    Refusal(
        lambda asked: asked.stick_on == "cookie" and asked.mode == "tcp",
        "--stick-on",
        "cookie given with mode tcp, in which the proxy sees no requests",
        "valid: --mode http, or src",
    ),
    Refusal(
        lambda asked: asked.stick_on is not None and asked.peers,
        "--stick-on",
        "given with --peers, with which clients stick by a table that the proxies share",
        "valid: one of the two",
    ),
    Refusal(
        lambda asked: asked.stick_on is not None and asked.proxy == "profile",
        "--stick-on",
        "given with the proxy of --profile {profile}",
        "valid: without it, or with --proxy checked",
    ),
    Refusal(
        lambda asked: "backends" in asked.tls and asked.serve in ("eventlet", "uwsgi"),
        "--serve",
        "{serve} given with --tls backends, which cannot serve TLS (heat-api of Heat 24 fails with its own "
        "options for it, PyPI's pyuwsgi is built without)",
        "valid: gunicorn",
    ),
    Refusal(
        lambda asked: asked.brokers % 2 == 0,
        "--brokers",
        "{brokers} given",
        "valid: 1, 3 or 5; an even cluster survives no more than the odd one below it",
    ),
    Refusal(
        lambda asked: asked.partition_handling is not None and asked.brokers == 1,
        "--partition-handling",
        "given for a single broker",
        "valid: with --brokers 3 or 5",
    ),
    Refusal(
        lambda asked: asked.messaging == "recommended" and asked.prefetch == 0,
        "--prefetch",
        "0 given with --messaging recommended, whose streams need a limit",
        "valid: 1 or more; without it 50",
    ),
    Refusal(
        lambda asked: asked.peers and asked.proxies == 1,
        "--peers",
        "given for a single proxy",
        "valid: with --proxies 2",
    ),
    Refusal(
        lambda asked: bool(asked.sample) and asked.rest != 2,
        "--rest",
        "{rest} given with --sample guide",
        "valid: 2, one on B and one on C",
    ),
    Refusal(
        lambda asked: bool(asked.sample) and asked.cfn != 2,
        "--cfn",
        "{cfn} given with --sample guide",
        "valid: 2, one on B and one on C",
    ),
    Refusal(
        lambda asked: bool(asked.sample) and asked.engines_per_host > 1,
        "--engines-per-host",
        "{engines_per_host} given with --sample guide",
        "valid: 1; its engines are on B and C in turn",
    ),
    Refusal(
        lambda asked: bool(asked.sample) and asked.brokers > 1,
        "--brokers",
        "{brokers} given with --sample guide",
        "valid: 1, the broker on A",
    ),
    Refusal(
        lambda asked: bool(asked.sample) and asked.proxies > 1,
        "--proxies",
        "{proxies} given with --sample guide",
        "valid: 1, the proxy on A",
    ),
    Refusal(
        lambda asked: len(asked.weights) > max(asked.rest, asked.cfn),
        "--weights",
        "{weights} given",
        "valid: at most one weight for each server of an API",
    ),
)


def _has_stick_table(profile: str | None) -> bool:
    settings = lab_profile.proxy_of(profile)
    lines = settings.section.lines if settings else None
    return lines is not None and any(line.startswith("stick-table") for line in lines.value)


def _releases_of_apis(asked: LabTopology) -> set[Release]:
    return {asked.release(part) for part in (*asked.rest_parts, *asked.cfn_parts)}


def check(asked: LabTopology, ports: Mapping[str, int]) -> None:
    """Raise InputError for the first rule that refuses the topology, or the given front `ports`.

    Last is what depends on who asks: hosts that are network namespaces need root.
    """
    for rule in RULES:
        if rule.refused(asked):
            raise InputError(rule.option, rule.given.format_map(asked.model_dump()), rule.valid)
    if asked.layout != "loopback":
        where = "--sample guide" if asked.sample else "--proxies 2"
        for api in ports:
            raise InputError(
                f"--{api}-port", f"given with {where}", "valid: without it; the port is the guide's"
            )
        if not netns.may_be_made():
            raise InputError(where, "network namespaces cannot be created here", network.ADVICE)
