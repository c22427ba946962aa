"""Results of studies with a known truth, as literals."""

from __future__ import annotations

from calorimeter.core.verdict import failed, passed
from calorimeter.studies.backlog_growth import backlog
from calorimeter.studies.capacity_search_result import CapacitySearchResult
from calorimeter.studies.levels import Level
from calorimeter.studies.scale_result import MACHINE, ProcessorUse, ScaleResult, Size
from calorimeter.studies.study_circumstances import Circumstances


def level(at: float, kind: str = "probe", *, broken: bool = False) -> Level:
    """A level of arrivals; the slower the nearer it is to 100 a second."""
    slow = 1 / max(0.02, 1 - at / 110)
    return Level.model_validate(
        {
            "level": at,
            "run": f"run-{at:g}-{kind}",
            "kind": kind,
            "window_s": 8.0,
            "telling_s": 30.0,
            "offered_per_s": at * 1.1,
            "achieved_per_s": min(at * 1.1, 108.0),
            "error_ratio": 0.0,
            "dropped": 0,
            "response_ms": {"p50": 20 * slow, "p95": 60 * slow},
            "objectives": failed("1 objective was missed: rest.list: p95 too slow", ["p95"])
            if broken
            else passed("kept"),
            "generator": passed("at ease"),
            "backlogs": (backlog("requests in flight", [1.0] * 60),),
        }
    )


WHERE = Circumstances(
    started="2026-01-02T03:04:05+00:00",
    environment={
        "calorimeter": "0.1.0",
        "cpu": "Some processor",
        "cpus": 2,
        "libraries": {"locust": "2"},
    },
    parts=(("Deployment", "lab"), ("Engines", "engine-1: 1 × 1 workers")),
    commands=(("calorimeter", "capacity", "capacity-mix"),),
)

CAPACITY = CapacitySearchResult(
    circumstances=WHERE,
    scenario="capacity-mix",
    deployment="lab",
    unit="arrivals/s",
    capacity=80.0,
    broken=88.0,
    confirmed=True,
    limit="1 objective was missed: rest.list: p95 too slow",
    precision=0.1,
    probe_s=8.0,
    hold_s=20.0,
    took_s=150.0,
    levels=(
        *(level(at) for at in (4, 8, 16, 32, 64, 75, 80)),
        *(level(at, broken=True) for at in (128, 96, 88)),
        level(80, "hold"),
        level(88, broken=True),
        level(40, "sweep"),
        level(120, "sweep", broken=True),
    ),
)


def size(rest: int, engines: int, throughput: float, *, check: bool = False) -> Size:
    """A load of 20 s; each stack costs an engine 40 ms and a REST API 20 ms of processor."""
    done = round(throughput * 20)
    return Size(
        rest=rest,
        cfn=1,
        engines=engines,
        users=6 * engines,
        run=f"run-{rest}-{engines}",
        window_s=20.0,
        done=done,
        throughput=done / 20,
        failed=0,
        requests=done * 9,
        used=(
            ProcessorUse(kind="engine", processes=engines, cpu_s=0.04 * done),
            ProcessorUse(kind="rest", processes=rest, cpu_s=0.02 * done),
            ProcessorUse(kind="mariadb", processes=1, cpu_s=0.01 * done),
            ProcessorUse(kind=MACHINE, processes=1, cpu_s=0.2 * done),
        ),
        generator=passed("at ease"),
        check=check,
    )


def scale(engines: tuple[int, ...] = (1, 2, 3, 4, 6, 8), rests: tuple[int, ...] = (1, 2, 3)) -> ScaleResult:
    """γ = 0.5, α = 0.05, β = 0.002 for any number of APIs; five engines are left out to be checked."""

    def law(n: int) -> float:
        return 0.5 * n / (1 + 0.05 * (n - 1) + 0.002 * n * (n - 1))

    fitted = tuple(size(rest, n, law(n)) for rest in rests for n in engines)
    return ScaleResult(
        circumstances=WHERE,
        scenario="engine-wait",
        deployment="lab",
        measure="stacks/s",
        users_per_engine=6,
        duration_s=20.0,
        repeat=1,
        took_s=600.0,
        cpus=2,
        sizes=(*fitted, size(max(rests), 5, law(5), check=True)),
    )
