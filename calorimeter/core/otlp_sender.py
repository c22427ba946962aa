"""Sends telemetry to a receiver by OTLP over HTTP: batch by batch, within a bounded time.

OpenTelemetry's OTLP specification says which answers may be tried again (429, 502, 503, 504, no answer) and
what a receiver answers that rejects a part. Nothing is sent to any other place than the given URL.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from pydantic import TypeAdapter, ValidationError

from calorimeter.core import bounds
from calorimeter.core.errors import InputError, shortened
from calorimeter.core.login.http_session import HttpSession, without_secrets
from calorimeter.core.urls import HttpUrl

WITHIN_S = 300.0
"""All batches must be sent by then."""

REQUEST_S = 10.0
ATTEMPTS = 4
WAITS_S = (1.0, 2.0, 4.0)
LONGEST_WAIT_S = 30.0
"""How long a receiver may ask to wait (Retry-After)."""

AGAIN = (429, 502, 503, 504)

_URL: TypeAdapter[str] = TypeAdapter(HttpUrl)


@dataclass(frozen=True, slots=True)
class TelemetrySignal:
    """What is sent: its word, the path of its receivers, and the field of an answer that counts rejected
    ones."""

    word: str
    path: str
    rejected: str


TRACES = TelemetrySignal("spans", "/v1/traces", "rejectedSpans")
METRICS = TelemetrySignal("metrics", "/v1/metrics", "rejectedDataPoints")


@dataclass(frozen=True, slots=True)
class SentBatches:
    """What a receiver took; `rejected` are the spans or points that it says it did not, `why` its first
    reason."""

    batches: int
    rejected: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class SendingClock:
    """The time, s, and how to wait."""

    now_s: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep


def is_url(target: str) -> bool:
    """Whether a target is meant to be a URL, not a file."""
    return "://" in target


def receiver_url(given: str, option: str, signal: TelemetrySignal = TRACES) -> str:
    """Where a signal is sent: `given`, with the signal's path if it has none. Raises InputError."""
    try:
        _URL.validate_python(given)
        parts = urlsplit(given)
    except ValidationError as problem:
        why = problem.errors(include_url=False, include_input=False, include_context=False)[0]["msg"]
        raise InputError(option, without_secrets(given), why.removeprefix("Value error, ")) from problem
    if parts.username is not None:
        raise InputError(option, without_secrets(given), "a URL here must not contain a user")
    path = parts.path if parts.path.strip("/") else signal.path
    return parts._replace(path=path, fragment="").geturl()


def send(
    url: str,
    batches: Iterable[str],
    option: str,
    clock: SendingClock | None = None,
    signal: TelemetrySignal = TRACES,
) -> SentBatches:
    """Send each batch, the JSON of a message, in turn.

    Raises InputError if one is not taken after `ATTEMPTS`, or if all take longer than `WITHIN_S`.
    """
    clock = clock or SendingClock()
    ends_s = clock.now_s() + WITHIN_S
    count = rejected = 0
    why = ""
    with HttpSession(option, url) as session:
        for batch in batches:
            try:
                answer = _sent(session, url, batch, option, ends_s, clock)
            except _NotTakenError as problem:
                refused = f"{without_secrets(url)} did not take the {signal.word}: {problem}"
                raise InputError(option, refused, "valid: a receiver of OTLP over HTTP") from problem
            count += 1
            more, reason = _rejected(answer, signal)
            rejected, why = rejected + more, why or reason
    return SentBatches(count, rejected, why)


class _NotTakenError(Exception):
    """Why a receiver did not take a batch."""


def _sent(
    session: HttpSession, url: str, batch: str, option: str, ends_s: float, clock: SendingClock
) -> requests.Response:
    # The same bytes for the same batch: no time in the head.
    body = gzip.compress(batch.encode("ascii"), mtime=0)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    why = ""
    for attempt in range(ATTEMPTS):
        left_s = ends_s - clock.now_s()
        if left_s <= 0:
            raise InputError(option, f"{without_secrets(url)} took longer than {WITHIN_S:.0f} s", why)
        wait_s = WAITS_S[min(attempt, len(WAITS_S) - 1)]
        try:
            answer = session.post(url, data=body, headers=headers, timeout=min(REQUEST_S, left_s))
        except requests.RequestException as problem:
            why = f"no answer ({type(problem).__name__})"
        else:
            if answer.ok and not answer.is_redirect:
                return answer
            why = f"the answer was {answer.status_code}"
            if answer.status_code not in AGAIN:
                break
            wait_s = max(wait_s, _asked_wait_s(answer))
        if attempt + 1 < ATTEMPTS:
            clock.wait(max(0.0, min(wait_s, ends_s - clock.now_s())))
    raise _NotTakenError(why)


def _asked_wait_s(answer: requests.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    try:
        return min(float(bounds.WAIT.parse(text)), LONGEST_WAIT_S)
    except ValueError:  # none, or a date
        return 0.0


def _rejected(answer: requests.Response, signal: TelemetrySignal) -> tuple[int, str]:
    """How many a receiver rejected of a batch that it took, and why; an answer need not say."""
    try:
        tree: Any = json.loads(answer.content or b"{}")
        partial = tree.get("partialSuccess") or {}
        return max(0, int(partial.get(signal.rejected, 0))), shortened(
            str(partial.get("errorMessage", "")), 200
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        return 0, ""
