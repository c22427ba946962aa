"""A `GET /` at a front address, as a client sends it."""

from __future__ import annotations

import json

import requests

from verify.bench import Bench
from verify.checks.front import Front, Version
from verify.experiments import looks

ANSWER_S = 30.0
SHOWN = 200


def front(bench: Bench, api_name: str) -> Front:
    """Ask for the versions at the API's front address, and see whether the proxy counted it."""
    api = bench.api(api_name)
    stats = looks.looks_if_any(bench)
    before = looks.sessions(stats, api.proxy_section)
    url = f"{api.parts.scheme}://{api.front}/"
    evidence = Front(
        api=api_name,
        url=url,
        front=str(api.front),
        backends={backend.name: backend.address for backend in api.backends},
        section=api.proxy_section,
        status=0,
        section_known=None if not stats else before is not None,
    )
    try:
        with requests.Session() as http:
            http.trust_env = False
            verify = bench.deployment.tls.for_requests
            answer = http.get(url, timeout=ANSWER_S, allow_redirects=False, verify=verify)
    except requests.RequestException as problem:
        return evidence.model_copy(update={"error": _reason(problem)})
    after = looks.sessions(stats, api.proxy_section)
    return evidence.model_copy(
        update={
            "status": answer.status_code,
            "answer": answer.text[:SHOWN],
            "versions": _versions(answer.text),
            "counted": after - before if before is not None and after is not None else None,
        }
    )


def _reason(problem: requests.RequestException) -> str:
    if isinstance(problem, requests.Timeout):
        return f"no answer within {ANSWER_S:g} s"
    inner = str(problem)
    for known in ("Connection refused", "No route to host", "Name or service not known", "reset by peer"):
        if known in inner:
            return known
    return type(problem).__name__


def _versions(text: str) -> tuple[Version, ...]:
    """The versions of Heat's document; none where it is another."""
    try:
        found = json.loads(text)["versions"]
        return tuple(
            Version(
                id=str(version["id"]),
                status=str(version.get("status", "")),
                href=next((str(link["href"]) for link in version.get("links", [])), ""),
            )
            for version in found
        )
    except (ValueError, KeyError, TypeError):
        return ()
