"""D1: literal counts of statements in, verdicts and figures out."""

from __future__ import annotations

from dataclasses import replace
from math import exp, factorial

from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.verdict import Outcome
from calorimeter.gates.database.operation_statements import (
    PROMISES,
    OperationStatements,
    OperationWindow,
    StackCount,
)
from calorimeter.gates.database.statement_growth import (
    ClassGrowth,
    background_bound,
    growth,
    no_class_grows_too_fast,
    per_request,
)
from calorimeter.gates.evidence.digest_window import DigestCount, DigestWindow, ServerCounters

S = 1_000_000_000
REQUESTS = 40
TAGS = "SELECT `stack_tag` . * FROM `stack_tag` WHERE `stack_id` = ?"
STACK = "SELECT `stack` . * FROM `stack` WHERE `stack` . `id` = ?"
SERVER = ServerCounters(
    row_lock_waits=1, row_lock_ms=2, deadlocks=0, threads_connected=9, max_connections=100, uptime_s=60
)

Counts = dict[str, int]
"""Text of a class → its statements in a window."""


def counted(classes: Counts, took_s: int = 2, incomplete: str | None = None) -> DigestWindow:
    """A window in which each statement examined three rows."""
    found = [
        DigestCount(
            digest=f"d{text[:40].encode().hex()}",
            text=text,
            count=count,
            rows_examined=3 * count,
            rows_sent=count,
            lock_ns=0,
            errors=0,
        )
        for text, count in classes.items()
    ]
    return DigestWindow(
        begin_ns=5 * S,
        end_ns=(5 + took_s) * S,
        digests=tuple(found),
        server=SERVER,
        incomplete=incomplete,
    )


def stacks(number: int, idle: Counts | None = None, **changed: Counts) -> StackCount:
    """The windows of Heat with so many stacks; `changed` are the counts of operations (`stack_list`)."""
    usual: dict[str, Counts] = {
        "stack list": {STACK: REQUESTS, TAGS: REQUESTS * number},
        "stack show": {STACK: 2 * REQUESTS, TAGS: REQUESTS},
        "resource list": {STACK: 3 * REQUESTS},
        "event list": {STACK: 4 * REQUESTS},
    }
    windows = tuple(
        OperationWindow(
            operation=name,
            requests=REQUESTS,
            listed=(number, number) if name == "stack list" else (0, 0),
            counted=counted(changed.get(name.replace(" ", "_"), usual[name])),
        )
        for name in PROMISES
    )
    return StackCount(stacks=number, complete=number, operations=windows, idle=counted(idle or {}))


def evidence(few: StackCount | None = None, many: StackCount | None = None) -> OperationStatements:
    """The usual windows with 4 and with 12 stacks, or others in their place."""
    return OperationStatements(database="tcp://db heat", few=few or stacks(4), many=many or stacks(12))


def with_window(of: StackCount, name: str, **fields: object) -> StackCount:
    """The windows with other values in that of one operation."""
    changed = tuple(
        each.model_copy(update=fields) if each.operation == name else each for each in of.operations
    )
    return of.model_copy(update={"operations": changed})


def test_heat_as_it_is_passes() -> None:
    """One tag query for each listed stack, and nothing else grows."""
    found = no_class_grows_too_fast(evidence())
    assert found.outcome is Outcome.PASS
    assert found.why == (
        "with 4 and 12 stacks, requests made these statements on tcp://db heat: stack list 5 and 13, stack "
        "show 3 and 3, resource list 3 and 3, event list 4 and 4; no class of 6 grew faster than its "
        "operation promises"
    )
    assert found.figures["statements_per_stack_list_many"] == 13
    assert found.figures["rows_examined_per_stack_list_many"] == 39
    assert (found.figures["row_lock_waits_few"], found.figures["deadlocks_few"]) == (4, 0)
    assert (found.figures["threads_connected"], found.figures["max_connections"]) == (9, 100)


def test_show_that_reads_every_stack_fails() -> None:
    """The verdict names the operation, the class and both counts."""
    many = stacks(12, stack_show={STACK: 2 * REQUESTS, TAGS: 3 * REQUESTS})
    found = no_class_grows_too_fast(evidence(many=many))
    assert found.outcome is Outcome.FAIL
    assert found.why == (
        "stack show makes 1 statements of one class per request with 4 stacks and 3 with 12; they may grow "
        f"not at all, for it is about one stack: {TAGS}"
    )
    assert found.counter_examples == (f"stack show: 1 and 3 per request: {TAGS}",)


def test_list_that_grows_with_the_square_fails() -> None:
    """4 stacks make 16 statements, 12 make 144: nine times as many for three times the stacks."""
    few = stacks(4, stack_list={TAGS: 16 * REQUESTS})
    many = stacks(12, stack_list={TAGS: 144 * REQUESTS})
    found = no_class_grows_too_fast(evidence(few, many))
    assert found.outcome is Outcome.FAIL
    assert (
        "stack list makes 16 statements of one class per request with 4 stacks and 144 with 12" in found.why
    )


def test_list_grows_with_the_stacks_listed_and_not_with_those_of_the_suite() -> None:
    """Beside 96 stacks of others, eight more must not triple the statements."""
    few = with_window(stacks(4, stack_list={TAGS: 10 * REQUESTS}), "stack list", listed=(100, 100))
    many = with_window(stacks(12, stack_list={TAGS: 11 * REQUESTS}), "stack list", listed=(108, 108))
    assert no_class_grows_too_fast(evidence(few, many)).outcome is Outcome.FAIL
    few = with_window(few, "stack list", counted=counted({TAGS: 100 * REQUESTS}))
    many = with_window(many, "stack list", counted=counted({TAGS: 108 * REQUESTS}))
    assert no_class_grows_too_fast(evidence(few, many)).outcome is Outcome.PASS


def test_a_class_that_is_there_only_with_many_stacks_fails() -> None:
    """None with few is none allowed."""
    many = stacks(12, event_list={STACK: 4 * REQUESTS, "SELECT `event`": REQUESTS})
    found = no_class_grows_too_fast(evidence(many=many))
    assert found.outcome is Outcome.FAIL
    assert found.counter_examples == ("event list: 0 and 1 per request: SELECT `event`",)


def test_background_as_in_the_idle_window_changes_nothing() -> None:
    """Engines report themselves meanwhile: some statements of other classes, and of the same."""
    reports = {"UPDATE `service`": 6, STACK: 3}
    few = stacks(
        4, idle=reports, stack_show={STACK: 2 * REQUESTS + 4, TAGS: REQUESTS, "UPDATE `service`": 9}
    )
    found = no_class_grows_too_fast(evidence(few))
    assert found.outcome is Outcome.PASS
    assert found.figures["statements_per_stack_show_few"] == 3


def test_others_on_the_database_are_inconclusive() -> None:
    """The counts cannot be those of 40 equal requests."""
    few = stacks(4, stack_show={STACK: 2 * REQUESTS + 31, TAGS: REQUESTS})
    found = no_class_grows_too_fast(evidence(few))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.why == (
        "others used the database meanwhile, or stack show is not the same each time: 111 and 80 "
        "statements were counted in the two windows, from which the statements per request cannot be told: "
        + STACK
    )


def test_growth_that_may_be_background_is_inconclusive() -> None:
    """As many statements in the idle window as growth would make: neither PASS nor FAIL."""
    many = stacks(12, idle={TAGS: REQUESTS}, stack_show={STACK: 2 * REQUESTS, TAGS: 2 * REQUESTS})
    found = no_class_grows_too_fast(evidence(many=many))
    assert found.outcome is Outcome.INCONCLUSIVE


def test_windows_that_prove_nothing_are_inconclusive() -> None:
    """Each says why."""
    lost = counted({TAGS: 1}, incomplete="the server was restarted meanwhile")
    for few, why in (
        (stacks(4).model_copy(update={"complete": 3}), "3 of 4 stacks became complete"),
        (
            stacks(4).model_copy(update={"complete": 3, "first_incomplete": "create: 503"}),
            "3 of 4 stacks became complete (the first of the others: create: 503)",
        ),
        (
            with_window(stacks(4), "stack show", failed=2, first_failed="show: 504"),
            "2 of 40 requests of stack show failed (first: show: 504)",
        ),
        (
            with_window(stacks(4), "event list", counted=lost),
            "tcp://db heat: the server was restarted meanwhile",
        ),
        (stacks(4).model_copy(update={"idle": lost}), "tcp://db heat: the server was restarted meanwhile"),
        (
            with_window(stacks(4), "stack list", listed=(4, 5)),
            "stack list listed 4 stacks at first and 5 at the end",
        ),
        (
            with_window(stacks(4), "event list", counted=counted({}, took_s=-1)),
            "the clock went back during the requests of event list",
        ),
        (
            stacks(4).model_copy(update={"operations": stacks(4).operations[:-1]}),
            "event list was not requested with 4 stacks",
        ),
    ):
        found = no_class_grows_too_fast(evidence(few))
        assert (found.outcome, found.why) == (Outcome.INCONCLUSIVE, why)


def test_nothing_counted_is_inconclusive() -> None:
    """Heat uses another schema than the one that was read."""
    found = no_class_grows_too_fast(evidence(stacks(4, stack_list={}), stacks(12, stack_list={})))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.why == (
        "no statement of stack list was counted on tcp://db heat: does Heat use another database, or "
        "another server?"
    )


def test_classes_are_ranges_of_whole_numbers() -> None:
    """Of the usual evidence each is one number."""
    assert growth(evidence(), "stack list") == [
        ClassGrowth("stack list", TAGS, (4, 4), (12, 12), (160, 480), (12, 4)),
        ClassGrowth("stack list", STACK, (1, 1), (1, 1), (40, 40), (12, 4)),
    ]
    one = growth(evidence(), "stack list")[0]
    assert (one.kept, one.grew, one.unexplained) == (True, False, False)
    assert replace(one, many=(13, 12)).unexplained


@given(st.integers(0, 50), st.integers(1, 100), st.integers(0, 99))
def test_the_statements_of_a_request_are_found_below_background(
    each: int, requests: int, background: int
) -> None:
    """Whatever background there is up to the bound, the true number is in the range."""
    least, most = per_request(each * requests + background, requests, background)
    assert least <= each <= most
    if background < requests:
        assert (least, most) == (each, each)


@given(st.integers(0, 30), st.floats(0.1, 10), st.floats(0.1, 10))
def test_the_bound_of_background_is_that_of_the_binomial_distribution(
    idle: int, idle_s: float, window_s: float
) -> None:
    """Compared with the sum of the tail itself, in exact integers and floats."""
    share = window_s / (window_s + idle_s)

    def tail(count: int) -> float:
        n = count + idle
        ways = [factorial(n) // factorial(k) // factorial(n - k) for k in range(count, n + 1)]
        return sum(w * share**k * (1 - share) ** (n - k) for k, w in enumerate(ways, count))

    bound = background_bound(idle, idle_s, window_s, most=25)
    assert bound == 0 or tail(bound) >= 1e-4 * (1 - 1e-6)
    assert bound == 25 or tail(bound + 1) < 1e-4 * (1 + 1e-6)


def test_an_idle_window_without_statements_leaves_room_for_some() -> None:
    """0.5^13 is above one in ten thousand, 0.5^14 below; windows of one length."""
    assert background_bound(0, 2.0, 2.0, most=40) == 13
    assert background_bound(10_000, 2.0, 2.0, most=40) == 40
    assert exp(-10_000) == 0.0  # what a naive sum would begin with
