"""D1's experiment with a Heat and a database in this process: what it requests, counts and removes."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any, Self

import pytest

from calorimeter.core.database_table import Database
from calorimeter.core.deployment import Api, Backend, Deployment
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.verdict import Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.database import listing_trial
from calorimeter.gates.database.operation_statements import PROMISES
from calorimeter.gates.database.statement_growth import no_class_grows_too_fast
from calorimeter.gates.evidence.digest_window import DigestCount, DigestReading, ServerCounters
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

SERVER = ServerCounters(
    row_lock_waits=0, row_lock_ms=0, deadlocks=0, threads_connected=1, max_connections=9, uptime_s=1
)


class SmallHeat:
    """Heat's list, show, create and delete, with the statements that each makes.

    `greedy` makes a query for each stack also when one is shown. `refuses` answers no request well,
    `fails_first` so many creates.
    """

    def __init__(self, *, greedy: bool = False, refuses: bool = False, fails_first: int = 0) -> None:
        self.stacks: dict[str, str] = {"of-others": "id-0"}
        self.statements: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.most = 0
        self._greedy, self._refuses, self._to_fail = greedy, refuses, fails_first
        self._ids = itertools.count(1)

    def call(
        self, operation: str, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[HeatCall, Any]:
        """One request, answered at once."""
        now = time.time_ns()
        status = 503 if self._refuses else 200
        record = HeatCall(operation=operation, request_id=None, sent_ns=now, done_ns=now, status=status)
        if self._refuses:
            return record, None
        if operation in PROMISES:
            self.asked[operation] += 1
        if method == "POST" and self._to_fail:
            self._to_fail -= 1
            return record.model_copy(update={"status": 500}), None
        if method == "POST" and body is not None:
            self.stacks[body["stack_name"]] = f"id-{next(self._ids)}"
            self.most = max(self.most, len(self.stacks))
            return record, {"stack": {"id": self.stacks[body["stack_name"]]}}
        if method == "DELETE":
            self.stacks.pop(path.split("/")[2], None)
            return record, None
        if path.startswith("/stacks/"):
            self.statements["stack"] += 1
            self.statements["tags"] += len(self.stacks) if self._greedy else 1
            return record, {}
        self.statements["list"] += 1
        self.statements["tags"] += len(self.stacks)
        listed = [
            {"stack_name": name, "id": id_, "stack_status": "CREATE_COMPLETE"}
            for name, id_ in self.stacks.items()
        ]
        return record, {"stacks": listed}


class SmallReader:
    """The digests of that Heat; the clock runs by a second with each reading."""

    def __init__(self, heat: SmallHeat) -> None:
        self._heat = heat
        self._now = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def settled(self) -> DigestReading:
        """What was counted so far."""
        sums: dict[str, Any] = {"rows_examined": 0, "rows_sent": 0, "lock_ns": 0, "errors": 0}
        found = [
            DigestCount(digest=name, text=name, count=count, **sums)
            for name, count in self._heat.statements.items()
        ]
        at_ns = next(self._now) * 1_000_000_000
        return DigestReading(at_ns=at_ns, digests=tuple(found), overflow=0, server=SERVER)


def context(*, described: bool = True) -> Context:
    """A deployment with a database."""
    rest = Api(url="http://127.0.0.1:9/v1", proxy_section="r", backends=(Backend(name="a", address="h:1"),))
    found = Database(url="tcp://db:3306", user="u", password=Secret(env="P")) if described else None
    return Context(Deployment(name="d", rest=rest, database=found), Settings())


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths of idle windows, in which no time passes."""
    found: list[float] = []
    monkeypatch.setattr(listing_trial, "wait_idle", found.append)
    return found


def use(heat: SmallHeat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the experiment find this Heat and its database."""
    monkeypatch.setattr(listing_trial, "HeatClient", lambda *_, **__: heat)
    monkeypatch.setattr(listing_trial.DatabaseReader, "of", lambda _: SmallReader(heat))


def test_each_operation_is_counted_with_few_and_with_many_stacks(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    """Others' stacks are listed, too; the suite's are gone at the end."""
    heat = SmallHeat()
    use(heat, monkeypatch)
    found = listing_trial.statements_by_stacks(context())
    assert (found.database, heat.stacks) == ("tcp://db:3306 heat", {"of-others": "id-0"})
    assert heat.most == 13
    assert heat.asked == dict.fromkeys(PROMISES, 2 * (40 + 20))
    for stacks, listed in ((found.few, 5), (found.many, 13)):
        assert stacks.operations[0].listed == (listed, listed)
        counts = {each.digest: each.count for each in stacks.operations[0].counted.digests}
        assert counts == {"list": 40, "tags": 40 * listed}
        assert (stacks.complete, stacks.idle.digests) == (stacks.stacks, ())
    assert slept == [1.0, 1.0]
    judged = no_class_grows_too_fast(found)
    assert judged.outcome is Outcome.PASS
    assert judged.figures["statements_per_stack_list_many"] == 14


@pytest.mark.parametrize(("fails", "complete"), [(2, 4), (5, 3)])
def test_creates_that_fail_are_repeated_once(
    fails: int, complete: int, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    """And if they fail again, the verdict says what was answered."""
    use(SmallHeat(fails_first=fails), monkeypatch)
    found = listing_trial.statements_by_stacks(context())
    assert (found.few.complete, found.many.complete) == (complete, 12)
    assert len(slept) == 2
    if complete < 4:
        judged = no_class_grows_too_fast(found)
        assert judged.outcome is Outcome.INCONCLUSIVE
        assert "3 of 4 stacks became complete (the first of the others: create : 500" in judged.why


def test_heat_that_reads_all_stacks_to_show_one_is_red(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    """From the requests to the verdict."""
    use(SmallHeat(greedy=True), monkeypatch)
    found = no_class_grows_too_fast(listing_trial.statements_by_stacks(context()))
    assert found.outcome is Outcome.FAIL
    assert "makes 5 statements of one class per request with 4 stacks and 13 with 12" in found.why


def test_without_stacks_or_a_database_there_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says what is missing."""
    use(SmallHeat(refuses=True), monkeypatch)
    with pytest.raises(EvidenceUnavailable, match="no stack became complete"):
        listing_trial.statements_by_stacks(context())
    with pytest.raises(EvidenceUnavailable, match=r"has no \[database\]"):
        listing_trial.statements_by_stacks(context(described=False))
