"""Shapes that no lab can have: each is refused in one line before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calorimeter.core.errors import InputError
from calorimeter.lab.lab_topology import EVENTLET_RELEASES, LabTopology


@dataclass(frozen=True, slots=True)
class Rule:
    """A combination of options that is refused: whether it is asked for, and what the line says.

    `given` may name fields of the topology, as in `{heat}`.
    """

    refused: Callable[[LabTopology], bool]
    option: str
    given: str
    valid: str


RULES: tuple[Rule, ...] = (
    Rule(
        lambda asked: asked.serve == "eventlet" and asked.heat not in EVENTLET_RELEASES,
        "--serve",
        "eventlet given with --heat {heat}, which has no programs heat-api and heat-api-cfn",
        "valid: gunicorn, uwsgi",
    ),
    Rule(
        lambda asked: asked.brokers % 2 == 0,
        "--brokers",
        "{brokers} given",
        "valid: 1, 3 or 5; an even cluster survives no more than the odd one below it",
    ),
    Rule(
        lambda asked: asked.partition_handling is not None and asked.brokers == 1,
        "--partition-handling",
        "given for a single broker",
        "valid: with --brokers 3 or 5",
    ),
    Rule(
        lambda asked: asked.messaging == "recommended" and asked.prefetch == 0,
        "--prefetch",
        "0 given with --messaging recommended, whose streams need a limit",
        "valid: 1 or more; without it 50",
    ),
    Rule(
        lambda asked: asked.peers and asked.proxies == 1,
        "--peers",
        "given for a single proxy",
        "valid: with --proxies 2",
    ),
    Rule(
        lambda asked: bool(asked.sample) and asked.rest != 2,
        "--rest",
        "{rest} given with --sample guide",
        "valid: 2, one on B and one on C",
    ),
    Rule(
        lambda asked: bool(asked.sample) and asked.cfn != 2,
        "--cfn",
        "{cfn} given with --sample guide",
        "valid: 2, one on B and one on C",
    ),
    Rule(
        lambda asked: bool(asked.sample) and asked.engines_per_host > 1,
        "--engines-per-host",
        "{engines_per_host} given with --sample guide",
        "valid: 1; its engines are on B and C in turn",
    ),
    Rule(
        lambda asked: bool(asked.sample) and asked.brokers > 1,
        "--brokers",
        "{brokers} given with --sample guide",
        "valid: 1, the broker on A",
    ),
    Rule(
        lambda asked: bool(asked.sample) and asked.proxies > 1,
        "--proxies",
        "{proxies} given with --sample guide",
        "valid: 1, the proxy on A",
    ),
    Rule(
        lambda asked: len(asked.weights) > max(asked.rest, asked.cfn),
        "--weights",
        "{weights} given",
        "valid: at most one weight for each server of an API",
    ),
)


def check(asked: LabTopology, ports: Mapping[str, int]) -> None:
    """Raise InputError for the first rule that refuses the topology, or the given front `ports`."""
    for rule in RULES:
        if rule.refused(asked):
            raise InputError(rule.option, rule.given.format_map(asked.model_dump()), rule.valid)
    if asked.layout != "loopback":
        where = "--sample guide" if asked.sample else "--proxies 2"
        for api in ports:
            raise InputError(
                f"--{api}-port", f"given with {where}", "valid: without it; the port is the guide's"
            )
