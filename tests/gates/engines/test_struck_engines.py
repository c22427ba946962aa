"""The engine that a fault struck is found by the consumers that go or fall silent, on shared hosts too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.engine_trial import EngineTrial
from calorimeter.gates.engines.freeze import freeze_costs_its_share
from calorimeter.gates.engines.service_return import errors_are_clear_and_service_returns
from calorimeter.gates.engines.stop import (
    clean_stop_loses_nothing,
    crash_is_survived,
    joining_engine_gets_its_share,
)
from calorimeter.gates.engines.struck_engines import (
    listed,
    possible_hosts,
    process_sizes,
    silent_consumers,
    whole_processes,
)
from tests.gates.engines.test_stop import shares
from tests.gates.engines.trials import BROKEN, HEALED, HEALING, S, call, trial

PAIR = {"heat": (2, 2)}
"""Two engines of two workers share a host name."""

FIRST, SECOND = ("heat [11]", "heat [12]"), ("heat [21]", "heat [22]")

STOPS = (joining_engine_gets_its_share, clean_stop_loses_nothing, crash_is_survived)


def shared(struck: tuple[str, ...], *odd: HeatCall, **changes: object) -> EngineTrial:
    """A fault of the part `unit-1` struck these consumers; the calls were answered by another engine."""
    well = tuple(call(n + 0.5, "heat [31]") for n in range(50))
    after = shares(20, 20, 20)
    fields = {"parts": ("unit-1",), "sizes": PAIR, "consumers": 3, "after": after, "calls": (*well, *odd)}
    return trial(**fields | {"engines": struck} | changes)


@pytest.mark.parametrize("check", STOPS)
@pytest.mark.parametrize("struck", [FIRST, SECOND])
def test_either_engine_of_the_host_may_be_the_one(
    struck: tuple[str, ...], check: Callable[[EngineTrial], Judgement]
) -> None:
    """Its two consumers went: one engine was struck, and the verdict names its processes."""
    judgement = check(shared(struck))
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.why.startswith(f"unit-1 ({', '.join(struck)}) ")


@pytest.mark.parametrize("check", (*STOPS, freeze_costs_its_share))
@pytest.mark.parametrize(
    ("struck", "sizes"),
    [
        ((*FIRST, *SECOND), PAIR),  # both engines went
        ((FIRST[0],), PAIR),  # a worker survived its engine
        ((*FIRST, SECOND[0]), PAIR),  # and a worker of the other engine went
        (("heat [11]", "other [12]"), {"heat": (2, 2), "other": (2, 2)}),  # half an engine of each host
        (("heat [11]", "other [12]"), {"heat": (1,), "other": (1,)}),  # one engine of each host
    ],
)
def test_more_or_fewer_than_one_engine_prove_nothing(
    struck: tuple[str, ...], sizes: object, check: Callable[[EngineTrial], Judgement]
) -> None:
    """The suite cannot know which of them the command was meant for, not even if one does not return."""
    for changes in ({}, {"healed_ns": 0}):
        judgement = check(shared(struck, call(15, struck[0], 500, 8.1), sizes=sizes, **changes))
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert "of unit-1 was to strike one engine, but" in judgement.why
        assert f"went away or fell silent: {listed(struck)} (heat: " in judgement.why
        assert judgement.why.endswith("see gate E1")
    assert judgement.why.count(" engine of ") + judgement.why.count(" engines of ") == len(
        {name.split()[0] for name in struck}
    )


@pytest.mark.parametrize("check", STOPS)
def test_command_that_strikes_none_proves_nothing(check: Callable[[EngineTrial], Judgement]) -> None:
    """On a shared host as on any other."""
    judgement = check(shared((), noticed_ns=0))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.startswith("nothing shows that 'kill' of unit-1 had an effect")


def test_other_engine_of_the_host_must_answer() -> None:
    """What the crash costs it is no cost of the struck one: FAIL, and its process is named."""
    lost = call(15, SECOND[0], 500, 8.1)
    judgement = crash_is_survived(shared(FIRST, lost))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (f"not of the crashed engine: {lost}",)
    assert judgement.why.startswith("the crash of unit-1 (heat [11], heat [12]) cost more")


def frozen(struck: tuple[str, ...], *odd: HeatCall) -> EngineTrial:
    """Both workers of a frozen engine keep their share of the calls, which fail."""
    stuck = (
        call(n + at_s, name, 500, 8.1)
        for n in range(BROKEN, HEALING, 2)
        for at_s, name in zip((0.6, 0.7), struck, strict=True)
    )
    return shared(struck, *stuck, *odd, fault="freeze", noticed_ns=0)


def test_frozen_engine_of_a_shared_host_costs_its_share() -> None:
    """20 of 40 calls went to its two workers; a failed call of the other engine is FAIL."""
    judgement = freeze_costs_its_share(frozen(FIRST))
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["share_of_the_frozen"] == 0.5
    assert judgement.why.startswith("frozen unit-1 (heat [11], heat [12]) still got 50% of the calls")
    lost = call(15, SECOND[0], 500, 8.1)
    judgement = freeze_costs_its_share(frozen(FIRST, lost))
    assert judgement.counter_examples == (f"not of the frozen engine: {lost}",)


def test_all_engines_of_shared_hosts_are_gone() -> None:
    """E8: as many engines as parts; one of them left is INCONCLUSIVE."""
    bad = tuple(call(n + 0.5, None, 500, 8.1) for n in range(BROKEN, HEALING))
    well = tuple(call(n + 0.5) for n in (*range(BROKEN), *range(HEALED, 50)))
    outage = {"parts": ("unit-1", "unit-2"), "calls": (*well, *bad)}
    judgement = errors_are_clear_and_service_returns(shared((*FIRST, *SECOND), **outage))
    assert judgement.outcome is Outcome.PASS, judgement.why
    judgement = errors_are_clear_and_service_returns(shared(FIRST, **outage))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "'kill' of unit-1, unit-2 was to strike 2 engines, but 2 consumers went away" in judgement.why


def test_consumers_make_whole_engines() -> None:
    """Of engines with one and with four workers, five consumers are two engines, or four and one."""
    assert whole_processes(FIRST, PAIR) == {1}
    assert whole_processes((*FIRST, *SECOND), PAIR) == {2}
    assert whole_processes(FIRST[:1], PAIR) == set()
    assert whole_processes((), PAIR) == {0}
    assert whole_processes(["elsewhere [1]"], PAIR) == set()
    mixed = [f"heat [{n}]" for n in range(4)]
    assert whole_processes(mixed, {"heat": (4, 1, 1, 1, 1)}) == {1, 4}
    many = [f"heat [{n}]" for n in range(900)]
    assert whole_processes(many, {"heat": (3,) * 1000}) == {300}


def test_part_runs_on_the_host_of_its_name_or_on_one_without_a_part() -> None:
    """The lab names parts `engine-N`, and hosts that several share `engine-host-N`."""
    described = ("engine-1", "engine-host-1", "engine-host-2")
    parts = ("engine-1", "engine-2", "engine-3")
    assert possible_hosts("engine-1", described, parts) == ("engine-1",)
    assert possible_hosts("engine-2", described, parts) == ("engine-host-1", "engine-host-2")
    assert possible_hosts("engine-2", described[:1], parts) == ()


def test_engine_alone_on_its_host_has_all_consumers_there() -> None:
    """However many are described; on a shared host the description counts, as for one without any."""
    described = {"alone": (1,), "absent": (1,), "heat": (2, 2)}
    found = {"alone": 4, "heat": 3}
    assert process_sizes(described, described, found) == {"alone": (4,), "absent": (1,), "heat": (2, 2)}


def silent(*calls: HeatCall, patience_s: float = 1.5) -> tuple[str, ...]:
    """Those of the first engine's workers that were silent during the freeze."""
    return silent_consumers(calls, FIRST, BROKEN * S, HEALING * S, patience_s)


def test_consumer_that_answers_nothing_more_is_silent() -> None:
    """Its call timed out, was answered after the thaw, or was held when it froze."""
    held = call(BROKEN - 0.1, FIRST[0], 500, 8.0)
    for stuck in (call(15, FIRST[0], 500, 8.0), call(28, FIRST[0], took_s=2.5), held):
        assert silent(stuck) == FIRST[:1]
    just_before = call(BROKEN + 0.1, FIRST[0])  # answered while the command was still at work
    assert silent(held, just_before) == FIRST[:1]


def test_consumer_that_answers_others_is_not_silent() -> None:
    """It lost a call, or failed at once; and its last call before the thaw was still open."""
    lost = call(15, FIRST[0], 500, 8.0)
    assert silent(lost, call(25, FIRST[0])) == ()
    assert silent(call(15, FIRST[0], 500, 0.2)) == ()
    assert silent(call(HEALING - 0.2, FIRST[0], took_s=0.9)) == ()
    assert silent(call(BROKEN - 9, FIRST[0], 500, 8.0)) == ()
    assert silent(call(HEALING + 1, FIRST[0], 500, 8.0)) == ()


def test_redelivered_call_was_with_the_silent_consumer() -> None:
    """Another engine answered it in the end."""
    rescued = call(15, "heat [31]", took_s=5.0).model_copy(update={"handed": (FIRST[0], "heat [31]")})
    assert silent(rescued) == FIRST[:1]
