"""What the owner wants and says, as options of a command and as a deployment file have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calorimeter.config import releases
from calorimeter.config.audit.subject import APIS
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError, nearest, unknown
from calorimeter.core.expect import BALANCES, first_word


def balances(given: Sequence[str]) -> dict[str, str] | None:
    """API → wanted balance, of `BALANCE` (both APIs) and `API=BALANCE`; None if nothing is given.

    The option of one API has precedence. Raises InputError if an API or a balance does not exist.
    """
    both: dict[str, str] = {}
    own: dict[str, str] = {}
    for text in given:
        api, equals, balance = text.rpartition("=")
        balance = balance.partition("(")[0]
        if equals and api not in APIS:
            raise unknown("--expect-balance", "API", api, APIS)
        if balance not in BALANCES:
            raise InputError(
                "--expect-balance",
                f"{text!r} given",
                f"valid: BALANCE or API=BALANCE, with one of {', '.join(sorted(BALANCES))}",
                nearest(balance, BALANCES),
            )
        if equals:
            own[api] = balance
        else:
            both = dict.fromkeys(APIS, balance)
    return {**both, **own} or None


def options(
    expect_balance: Sequence[str], heat_release: str | None, rabbitmq_release: str | None
) -> dict[str, Any]:
    """The fields of `Inputs` that three options of `audit` set; None where one is not given."""
    return {
        "expect_balance": balances(expect_balance),
        "heat_release": None
        if heat_release is None
        else releases.given_heat("--heat-release", heat_release),
        "rabbitmq_release": None
        if rabbitmq_release is None
        else releases.given_rabbitmq("--rabbitmq-release", rabbitmq_release),
    }


def of_deployment(deployment: Deployment) -> dict[str, Any]:
    """The fields of `Inputs` that `[expect]` and `[versions]` of a deployment file set."""
    expect, versions = deployment.expect, deployment.versions
    balance = {api: expect.own_balance(api) for api in APIS}
    return {
        "max_detection_s": expect.max_detection_s,
        "tcp_keepalive": expect.tcp_keepalive,
        "expect_balance": {api: first_word(said) for api, said in balance.items() if said},
        "heat_release": releases.heat(versions.get("heat", "")),
        "rabbitmq_release": releases.rabbitmq(versions.get("rabbitmq", "")),
    }
