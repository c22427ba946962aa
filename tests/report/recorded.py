"""Polls, verdicts and evidence as a run folder holds them, made of literals."""

from __future__ import annotations

from typing import Any

from calorimeter.core.verdict import Judgement, Outcome, Verdict
from tests.report.run_builder import START_NS


def proxy_polls(seconds: int = 60) -> list[dict[str, Any]]:
    """Polls of the proxy's counters: rest-1 takes two connections a second, rest-2 one."""

    def row(section: str, server: str, stot: int) -> dict[str, Any]:
        state = {"status": "UP", "scur": stot % 5, "qcur": 0, "check_status": "L7OK", "weight": 1}
        return {"section": section, "server": server, "stot": stot, **state}

    return [
        {
            "t_ns": START_NS + second * 1_000_000_000,
            "proxy": "proxy",
            "servers": [
                row("rest_api_proxy", "FRONTEND", 100 + 3 * second),
                row("rest_api_proxy", "rest-1", 70 + 2 * second),
                row("rest_api_proxy", "rest-2", 30 + second),
                row("rest_api_proxy", "BACKEND", 100 + 3 * second),
                row("cfn_api_proxy", "cfn-1", 5 + second),
                row("cfn_api_proxy", "cfn-2", 5 + second),
            ],
        }
        for second in range(seconds + 1)
    ]


def broker_polls(seconds: int = 60, engines: tuple[int, ...] = (4711, 4712, 4713)) -> list[dict[str, Any]]:
    """Polls of the broker: each engine takes ten calls and thirty tasks a second."""

    def channel(pid: int, topic: str, second: int) -> dict[str, Any]:
        each = {"engine": 10, "engine_worker": 30}[topic]
        return {
            "connection": f"127.0.0.1:{pid} -> 127.0.0.1:5672 ({topic})",
            "name": f"heat-engine:{pid}:0a1b2c3d-0000-0000-0000-{pid:012d}",
            "queue_consumers": [topic, f"{topic}.host-{pid}"],
            "deliver": each * second,
        }

    return [
        {
            "t_ns": START_NS + second * 1_000_000_000,
            "queues": [
                {
                    "name": name,
                    "messages_ready": (second * 7) % 5,
                    "messages_unacknowledged": (second * 3) % 4,
                    "consumers": len(engines),
                }
                for name in ("engine", "engine_worker", "heat-engine-listener")
            ],
            "channels": [
                channel(pid, topic, second) for pid in engines for topic in ("engine", "engine_worker")
            ],
        }
        for second in range(seconds + 1)
    ]


def gates() -> tuple[Verdict, ...]:
    """A verdict of each outcome, one of them waived."""
    return (
        Verdict(
            gate="E2",
            heading="Calls rotate over the engines in exact order",
            guide="The message broker hands calls to the engines in turn.",
            judgement=Judgement(
                outcome=Outcome.PASS,
                why="31 calls went to 3 engines in turn.",
                figures={
                    "calls": 31,
                    "deliveries_engine-1": 11,
                    "deliveries_engine-2": 10,
                    "deliveries_engine-3": 10,
                },
            ),
            evidence=("evidence/E2.json",),
        ),
        Verdict(
            gate="H1",
            heading="Health checks really run",
            guide="option httpchk",
            judgement=Judgement(
                outcome=Outcome.FAIL,
                why="2 of 4 servers are not checked.",
                figures={"unchecked": 2},
                counter_examples=("rest_api_proxy/rest-1: no check", "rest_api_proxy/rest-2: no check"),
            ),
            waived="known, ticket 17",
        ),
        Verdict(
            gate="L1",
            heading="Every accepted stack reaches a final state",
            guide="",
            judgement=Judgement(outcome=Outcome.INCONCLUSIVE, why="The ledger is empty."),
        ),
        Verdict(
            gate="P3",
            heading="maxconn holds back and does not drop",
            guide="maxconn 4000",
            judgement=Judgement(outcome=Outcome.NOT_RUN, why="It needs consent to load."),
        ),
        Verdict(
            gate="S1",
            heading="Each source address stays on one server",
            guide="balance source",
            judgement=Judgement(
                outcome=Outcome.PASS,
                why="Each of 30 sources stayed on one server.",
                figures={
                    "sources": 30,
                    "share_rest-1": 0.5,
                    "share_rest-2": 0.5,
                    "share_cfn-1": 0.4,
                    "share_cfn-2": 0.6,
                },
            ),
        ),
    )


def process_polls(seconds: int = 60) -> list[dict[str, Any]]:
    """Polls of two parts: rest-1 uses a quarter of a processor, engine-1 a half."""
    return [
        {
            "t_ns": START_NS + second * 1_000_000_000,
            "processes": [
                {"part": "rest-1", "cpu_s": 3 + 0.25 * second, "rss_bytes": 80_000_000},
                {"part": "engine-1", "cpu_s": 5 + 0.5 * second, "rss_bytes": 100_000_000 + second},
            ],
        }
        for second in range(seconds + 1)
    ]


def trial() -> dict[str, Any]:
    """Evidence of a fault: rest-1 dies at 2 s, is out from 4 s to 9 s, and one request of three fails."""

    def at(second: float) -> int:
        return START_NS + int(second * 1e9)

    def attempt(second: float, status: int) -> dict[str, Any]:
        return {"api": "rest", "due_ns": at(second), "done_ns": at(second + 0.5), "status": status}

    return {
        "fault": "kill",
        "began_ns": at(0),
        "ended_ns": at(12),
        "injected": [{"server": "rest-1", "at_ns": at(2), "heal_began_ns": at(8)}],
        "changes": [
            {"server": "rest-1", "status": "UP", "seen_ns": at(0)},
            {"server": "rest-1", "status": "DOWN", "seen_ns": at(4)},
            {"server": "rest-1", "status": "UP", "seen_ns": at(9)},
        ],
        "attempts": [attempt(1, 200), attempt(3, 0), attempt(5, 200)],
    }


class Polls:
    """What was polled and judged, as lists."""

    start_ns = START_NS
    processes = staticmethod(process_polls)
    trial = staticmethod(trial)

    proxy = staticmethod(proxy_polls)
    broker = staticmethod(broker_polls)
    gates = staticmethod(gates)
