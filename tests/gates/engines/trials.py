"""Literal trials for the tests of E5 to E9: one call per second, and odd calls."""

from __future__ import annotations

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.engine_trial import EngineTrial

S = 1_000_000_000
NAMES = ("engine-1 [1]", "engine-2 [2]", "engine-3 [3]")
BROKEN, HEALING, HEALED = 10, 30, 40
BACK = ("engine-2 [12]", "engine-3 [13]")
"""Names of engines after a restart: they have new process ids."""


def call(at_s: float, engine: str | None = NAMES[0], status: int = 200, took_s: float = 0.1) -> HeatCall:
    """A call that was sent at this second of the trial."""
    return HeatCall(
        operation="list",
        request_id=f"req-{at_s:g}",
        sent_ns=int(at_s * S),
        done_ns=int((at_s + took_s) * S),
        status=status,
        said="MessagingTimeout" if status >= 500 else "",
        engine=engine,
    )


def trial(*odd: HeatCall, **changes: object) -> EngineTrial:
    """One call per second for 50 s, answered by engine-1; the fault lasts from second 10 to 30."""
    fields: dict[str, object] = {
        "fault": "kill",
        "parts": ("engine-3",),
        "engines": NAMES[2:],
        "sizes": {"engine-1": (1,), "engine-2": (1,), "engine-3": (1,)},
        "consumers": 3,
        "broken_ns": BROKEN * S,
        "settled_ns": (BROKEN + 1) * S,
        "healing_ns": HEALING * S,
        "healed_ns": HEALED * S,
        "noticed_ns": int((BROKEN + 0.2) * S),
        "first_ns": (HEALED + 1) * S,
        "rpc_timeout_s": 8.0,
        "proxy_timeout_s": 60.0,
        "api_s": 0.1,
        "calls": (*(call(n + 0.5) for n in range(50)), *odd),
    }
    return EngineTrial.model_validate(fields | changes)


def frozen(**changes: object) -> EngineTrial:
    """A third of the calls during the freeze go to the frozen engine and fail after the RPC timeout."""
    stuck = tuple(call(n + 0.6, NAMES[2], 500, 8.1) for n in range(BROKEN, HEALING, 2))
    return trial(*stuck, **({"fault": "freeze", "noticed_ns": 0} | changes))


def gone(*odd: HeatCall, **changes: object) -> EngineTrial:
    """Without engines every call fails after the RPC timeout."""
    calls = tuple(call(n + 0.5) for n in (*range(BROKEN), *range(HEALED, 50)))
    bad = tuple(call(n + 0.5, None, 500, 8.1) for n in range(BROKEN, HEALING))
    parts = ("engine-1", "engine-2", "engine-3")
    return trial(**{"calls": (*calls, *bad, *odd), "parts": parts, "engines": NAMES} | changes)


def cut(at_s: float, status: int = 0, took_s: float = 10.0) -> HeatCall:
    """A call that got no answer of Heat's, and so no request id that shows its engine."""
    error = "" if status else "ConnectionError"
    unknown = {"request_id": None, "said": "", "error": error}
    return call(at_s, None, status, took_s).model_copy(update=unknown)


def returned(*odd: HeatCall) -> tuple[HeatCall, ...]:
    """Both answer calls sent two seconds after the broker had their consumers again; and odd calls."""
    return (call(HEALED + 2, BACK[0]), call(HEALED + 2.1, BACK[1]), *odd)
