"""Stacks of an experiment: created in bursts, polled until they are final, and always deleted."""

from __future__ import annotations

import json
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from calorimeter.core import foreign
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.core.toml import Model
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stack_records import OutputRead, StackRecord, StackState
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

TIMEOUT_MIN = 2
"""The stacks' own timeout, in minutes: Heat itself fails a stack that takes longer."""

POLL_S = 0.5
LONGEST_LIST_S = 2.0
"""Longest time of a list that makes the next ones rarer."""

CHAINS = 3
IN_FLIGHT = 4
READ_IN_FLIGHT = 4
REMOVE_S = 90.0
"""How long deletes may go on while the list of stacks does not get shorter."""

ARN = re.compile(r"<StackId>[^<]*/([0-9a-f-]{36})</StackId>")
SECRET = re.compile(r"[A-Za-z0-9]{32}")


def template(resources: int) -> dict[str, object]:
    """A template of that many resources in three chains; one is a secret, and an output.

    Without dependencies all resources of a stack end in one place at the same time, where engines wait for
    each other: 1,008 deliveries took 65 s that way and 51 s in chains (measured on two cores).
    """
    chained: dict[str, dict[str, object]] = {
        "word": {"type": "OS::Heat::RandomString", "properties": {"length": 32}}
    }
    names = ["word", *(f"r{n}" for n in range(1, resources))]
    for n, name in enumerate(names[1:], 1):
        after = {"depends_on": names[n - CHAINS]} if n >= CHAINS else {}
        chained[name] = {"type": "OS::Heat::None", **after}
    return {
        "heat_template_version": "2018-08-31",
        "resources": chained,
        "outputs": {"word": {"value": {"get_attr": ["word", "value"]}}},
    }


class Stacks:
    """The stacks of one experiment. Heat knows them by a tag of their own.

    `check` is called before each step; the exception that it raises ends the experiment.
    """

    def __init__(
        self, client: HeatClient, resources: int, check: Callable[[], None] = lambda: None
    ) -> None:
        self.client = client
        self._check = check
        self.tag = f"calorimeter-{secrets.token_hex(4)}"
        self.resources = resources
        self._template = template(resources)
        self._records: dict[str, StackRecord] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._polled = 0.0
        self._list_took_s = 0.0
        self._cfn = False

    @property
    def records(self) -> tuple[StackRecord, ...]:
        """All stacks so far."""
        with self._lock:
            return tuple(self._records.values())

    def create(self, *, cfn: bool = False) -> StackRecord:
        """Request one more stack, by REST or CFN."""
        self._check()
        with self._lock:
            self._count += 1
            name = f"{self.tag}-{self._count}"
            self._cfn = self._cfn or cfn
        call, id_ = self._create_cfn(name) if cfn else self._create_rest(name)
        record = StackRecord(name=name, create=call, stack_id=id_)
        with self._lock:
            self._records[name] = record
        return record

    def _create_rest(self, name: str) -> tuple[HeatCall, str | None]:
        body = {
            "stack_name": name,
            "template": self._template,
            "timeout_mins": TIMEOUT_MIN,
            "tags": self.tag,
        }
        call, answer = self.client.call("create", "POST", "/stacks", body)
        return call, _id(answer)

    def _create_cfn(self, name: str) -> tuple[HeatCall, str | None]:
        call, text = self.client.cfn(
            "CreateStack",
            StackName=name,
            TemplateBody=json.dumps(self._template),
            TimeoutInMinutes=str(TIMEOUT_MIN),
            DisableRollback="true",
        )
        found = ARN.search(text)
        return call, found[1] if found else None

    def burst(
        self,
        count: int,
        in_flight: int = IN_FLIGHT,
        *,
        apis: Sequence[str] = ("rest",),
        wanted: Callable[[int], bool] = lambda _: True,
    ) -> None:
        """Request `count` stacks, `in_flight` at a time, by these APIs in turn.

        A stack is skipped if `wanted(its number)` is false when its turn comes.
        """

        def create(number: int) -> None:
            if wanted(number):
                self.create(cfn=apis[number % len(apis)] == "cfn")

        with ThreadPoolExecutor(in_flight) as pool:
            list(pool.map(create, range(count)))

    def listed(self) -> dict[str, tuple[str, str]] | None:
        """Name → (id, status) of this experiment's stacks, nested ones too; None without an answer."""
        # A stack created by CFN has no tag: if there are such stacks, all stacks are listed.
        tag = "" if self._cfn else f"tags={self.tag}&"
        call, answer = self.client.call("list", "GET", f"/stacks?{tag}show_nested=True")
        self._list_took_s = min(call.took_s, LONGEST_LIST_S)
        try:
            found = foreign.objects(foreign.member(answer, "stacks")) if call.ok else None
            ours = [s for s in found or () if foreign.text(s.get("stack_name")).startswith(f"{self.tag}-")]
            entries = {
                foreign.identifier(s["stack_name"]): (
                    foreign.identifier(s.get("id")),
                    foreign.text(s.get("stack_status")),
                )
                for s in ours
            }
        except UnintelligibleError:
            return None
        return None if found is None else entries

    def poll(self) -> None:
        """Record the state of each stack."""
        asked = time.monotonic()
        found = self.listed()
        if found is None:
            return
        at_ns = time.time_ns()  # an upper bound: the stack may have reached that state before
        with self._lock:
            if asked < self._polled:
                return  # a later poll was answered first
            self._polled = asked
            for name, record in self._records.items():
                if name not in found:
                    continue
                id_, status = found[name]
                if record.outcome != status:
                    states = (*record.states, StackState(status=status, at_ns=at_ns))
                    self._records[name] = record.model_copy(update={"states": states, "stack_id": id_})

    def await_final(self, within_s: float) -> bool:
        """Wait until every stack that Heat took on is final; False after `within_s`."""

        def final() -> bool:
            self._check()
            self.poll()
            return all(e.final for e in self.records if e.taken)

        try:
            return until(final, within_s, every_s=self._pause_s)
        except DeadlineError:
            return False

    def read_back(self) -> None:
        """Read the output of every complete stack once."""
        complete = [e for e in self.records if e.outcome == "CREATE_COMPLETE"]
        self._update_each(complete, "read", self._read)

    def _read(self, record: StackRecord) -> OutputRead:
        self._check()
        call, answer = self.client.call("show", "GET", f"/stacks/{record.name}/{record.stack_id}")
        try:
            outputs = foreign.objects(foreign.member(answer, "stack", "outputs")) if call.ok else []
        except UnintelligibleError:
            outputs = []
        values = (o.get("output_value") for o in outputs if o.get("output_key") == "word")
        word = next((value for value in values if isinstance(value, str)), "")
        as_made = SECRET.fullmatch(word) is not None
        form = f"{len(word)} characters instead of 32 letters and digits" if not as_made else "made"
        return OutputRead(call=call, as_made=as_made, said=form)

    def delete_all(self) -> tuple[str, ...]:
        """Delete all stacks and wait until they are gone; the names of those that are left.

        The wait lasts while the list gets shorter, see `DeleteDeadline`. Raises `EvidenceUnavailable` if
        the last list got no answer: a stack that is not listed then need not be gone.
        """
        there = [e for e in self.records if e.stack_id is not None]
        self._update_each(there, "delete", self._delete)
        deadline = DeleteDeadline()
        again = [e for e in self.records if e.delete is not None and not e.delete.ok]
        while True:
            self._check()
            at_ns = time.time_ns()
            found = self.listed()
            while again and found is not None:
                record = again.pop()
                if record.name in found and found[record.name][1] != "DELETE_IN_PROGRESS":
                    self._delete(record)
            if found is not None:
                for record in self.records:
                    if record.name not in found and record.delete and record.gone_ns is None:
                        self._update(record.name, gone_ns=at_ns)
                    elif record.name in found and not record.delete:
                        again += self._delete_late(record, found[record.name][0])
                if not deletable(found):
                    return tuple(found)
            if deadline.passed(deletable(found)):
                if found is None:
                    raise EvidenceUnavailable("/stacks", "could not be listed after the deletes")
                return tuple(f"{name} ({status})" for name, (_, status) in found.items())
            time.sleep(self._pause_s())

    def _pause_s(self) -> float:
        """Time between two lists: a list takes at most a third of the time of APIs and engines."""
        return max(POLL_S, 2 * self._list_took_s)

    def _delete_late(self, record: StackRecord, id_: str) -> list[StackRecord]:
        """Delete a stack that was first listed now; the record itself if the delete must be repeated."""
        record = record.model_copy(update={"stack_id": id_})
        call = self._delete(record)
        self._update(record.name, stack_id=id_, delete=call)
        return [] if call.ok else [record]

    def _delete(self, record: StackRecord) -> HeatCall:
        return self.client.call("delete", "DELETE", f"/stacks/{record.name}/{record.stack_id}")[0]

    def _update_each(
        self, records: Sequence[StackRecord], field: str, act: Callable[[StackRecord], Model]
    ) -> None:
        with ThreadPoolExecutor(READ_IN_FLIGHT) as pool:
            for record, result in zip(records, pool.map(act, records), strict=True):
                self._update(record.name, **{field: result})

    def _update(self, name: str, **fields: Model | int | str) -> None:
        with self._lock:
            self._records[name] = self._records[name].model_copy(update=fields)

    def remove(self) -> None:
        """Delete every stack that is still listed, in any state: cleanup after an aborted experiment.

        Gives up at once if the list gets no answer twice in a row.
        """
        for _ in range(2):
            found = self.listed()
            if found is None:
                continue
            if found == {}:
                return
            paths = [
                f"/stacks/{name}/{id_}"
                for name, (id_, status) in found.items()
                if status != "DELETE_IN_PROGRESS"
            ]
            with ThreadPoolExecutor(READ_IN_FLIGHT) as pool:
                list(pool.map(lambda path: self.client.call("delete", "DELETE", path), paths))
            with suppress(DeadlineError):
                until(lambda: not self.listed(), REMOVE_S / 2, every_s=self._pause_s)


def _id(answer: object) -> str | None:
    """The id in the answer to a create; None if there is none, and the stack is found by its name."""
    try:
        return foreign.identifier(foreign.member(answer, "stack", "id"))
    except UnintelligibleError:
        return None


class DeleteDeadline:
    """When to stop waiting for deletes: they may be slow as long as the list gets shorter.

    It passes when no stack has gone for `REMOVE_S`, at the latest after the stacks' own timeout.
    """

    def __init__(self) -> None:
        self._began = self._progress = time.monotonic()
        self._fewest = math.inf

    def passed(self, left: int | None) -> bool:
        """Whether to stop waiting; `left` stacks are still listed (None: the list got no answer)."""
        now = time.monotonic()
        if left is not None and left < self._fewest:
            self._fewest, self._progress = left, now
        return now > min(self._progress + REMOVE_S, self._began + TIMEOUT_MIN * 60)


def deletable(found: Mapping[str, tuple[str, str]] | None) -> int | None:
    """How many of the listed stacks may still go: one whose delete failed stays. None without a list."""
    return None if found is None else sum(status != "DELETE_FAILED" for _, status in found.values())


@contextmanager
def temporary_stacks(
    client: HeatClient, resources: int, check: Callable[[], None] = lambda: None
) -> Iterator[Stacks]:
    """Stacks that are deleted when the context is left. `check` as in `Stacks`."""
    created = Stacks(client, resources, check)
    try:
        yield created
    finally:
        created.remove()
