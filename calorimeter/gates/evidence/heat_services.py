"""Heat's own table of its engines: `GET /v1/{project}/services` of the REST API."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

from keystoneauth1 import exceptions

from calorimeter.core import foreign
from calorimeter.core.deployment import Deployment
from calorimeter.core.toml import Model
from calorimeter.gates.evidence import identity
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


class HeatService(Model):
    """One engine worker process in Heat's table.

    `status` is `up` if it reported within twice its `report_interval_s`; a crashed one stays in the table
    as `down` until an engine removes it. `engine_id` is that of the worker's queue
    `engine_worker.<engine_id>`. Times are ns since the epoch.
    """

    engine_id: str
    host: str
    hostname: str
    binary: str
    topic: str
    status: Literal["up", "down"]
    report_interval_s: int
    created_ns: int | None
    updated_ns: int | None


def read(deployment: Deployment, who: identity.KeystoneIdentity | None = None) -> tuple[HeatService, ...]:
    """All entries of the service table; Heat's policy must allow the user to list them (default: admin).

    Raises `EvidenceUnavailable` if the API does not answer or refuses, `InputError` if Keystone does (see
    `identity.session`).
    """
    who = who or identity.session(deployment)
    where = deployment.rest.url
    try:
        answer = who.session.get(
            who.rest_url("/services"), raise_exc=False, headers={"Accept": "application/json"}
        )
        body = foreign.json_value(answer.content) if answer.status_code == HTTPStatus.OK else None
    except exceptions.ClientException as problem:
        raise EvidenceUnavailable(where, f"no service list ({type(problem).__name__})") from None
    except foreign.UnintelligibleError:
        raise EvidenceUnavailable(where, "its service list is not JSON") from None
    if answer.status_code == HTTPStatus.FORBIDDEN:
        why = f"{who.login.who} may not list services (policy service:index)"
        raise EvidenceUnavailable(where, why)
    if body is None:
        raise EvidenceUnavailable(where, f"answers {answer.status_code} to /services")
    try:
        return tuple(_service(tree) for tree in foreign.objects(body["services"]))
    except foreign.MISREAD as problem:
        kind = type(problem).__name__
        raise EvidenceUnavailable(where, f"its service list has an unknown format ({kind})") from None


def _service(tree: dict[str, Any]) -> HeatService:
    return HeatService(
        engine_id=tree["engine_id"],
        host=tree["host"],
        hostname=tree["hostname"],
        binary=tree["binary"],
        topic=tree["topic"],
        status=tree["status"],
        report_interval_s=tree["report_interval"],
        created_ns=_ns(tree.get("created_at")),
        updated_ns=_ns(tree.get("updated_at")),
    )


def _ns(text: str | None) -> int | None:
    """Heat writes UTC without an offset: 2024-01-02T03:04:05.000000."""
    if not text:
        return None
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000) * 1000
