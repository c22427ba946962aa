"""Stacks that an experiment makes: created in bursts, watched to their end, and always removed."""

from __future__ import annotations

import json
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pika.exceptions

from calorimeter.core.deployment import Deployment
from calorimeter.core.toml import Model
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.evidence.firehose import connect
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.ledger.stack_ledger import Depth, Entry, Read, State
from calorimeter.gates.repeated import Repeated

TIMEOUT_MIN = 2
"""The stacks' own timeout, in minutes: Heat itself fails a stack that takes longer."""

POLL_S = 0.5
CHAINS = 3
IN_FLIGHT = 4
READ_IN_FLIGHT = 4
REMOVE_S = 90.0
"""How long deletes may go on without one stack less in the list."""

ARN = re.compile(r"<StackId>[^<]*/([0-9a-f-]{36})</StackId>")
SECRET = re.compile(r"[A-Za-z0-9]{32}")


def template(resources: int) -> dict[str, object]:
    """A template of that many resources in three chains, one of them a secret that it gives out.

    Without dependencies all resources of a stack would end in one place at the same time, where engines
    wait for each other: 1,008 deliveries took 65 s that way, in chains 51 s (measured on two cores).
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
    """The stacks of one experiment, known to Heat by a tag of their own."""

    def __init__(
        self, client: HeatClient, resources: int, check: Callable[[], None] = lambda: None
    ) -> None:
        self.client = client
        self._check = check
        self.tag = f"calorimeter-{secrets.token_hex(4)}"
        self.resources = resources
        self._template = template(resources)
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._looked = 0.0
        self._cfn = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All stacks so far."""
        with self._lock:
            return tuple(self._entries.values())

    def create(self, *, cfn: bool = False) -> Entry:
        """Ask for one stack more, by REST or CFN."""
        self._check()
        with self._lock:
            self._count += 1
            name = f"{self.tag}-{self._count}"
            self._cfn = self._cfn or cfn
        call, id_ = self._create_cfn(name) if cfn else self._create_rest(name)
        entry = Entry(name=name, create=call, stack_id=id_)
        with self._lock:
            self._entries[name] = entry
        return entry

    def _create_rest(self, name: str) -> tuple[HeatCall, str | None]:
        body = {
            "stack_name": name,
            "template": self._template,
            "timeout_mins": TIMEOUT_MIN,
            "tags": self.tag,
        }
        call, answer = self.client.call("create", "POST", "/stacks", body)
        return call, answer["stack"]["id"] if call.ok and answer else None

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
        """Ask for `count` stacks, `in_flight` at a time, by these APIs in turn.

        Of each it is asked when its turn comes whether the stack of that number is still `wanted`.
        """

        def create(number: int) -> None:
            if wanted(number):
                self.create(cfn=apis[number % len(apis)] == "cfn")

        with ThreadPoolExecutor(in_flight) as pool:
            list(pool.map(create, range(count)))

    def listed(self) -> dict[str, tuple[str, str]] | None:
        """Name → (id, status) of this experiment's stacks, nested ones too; None without an answer."""
        # CFN gives a stack no tag, so all are listed where it made some.
        tag = "" if self._cfn else f"tags={self.tag}&"
        call, answer = self.client.call("list", "GET", f"/stacks?{tag}show_nested=True")
        if not call.ok or not isinstance(answer, dict):
            return None
        ours = [s for s in answer["stacks"] if s["stack_name"].startswith(f"{self.tag}-")]
        return {s["stack_name"]: (s["id"], s["stack_status"]) for s in ours}

    def look(self) -> None:
        """Note what state each stack is in."""
        asked = time.monotonic()
        found = self.listed()
        if found is None:
            return
        at = time.time_ns()  # by now; the stack may have been in that state before
        with self._lock:
            if asked < self._looked:
                return  # another look that was begun later was answered first
            self._looked = asked
            for name, entry in self._entries.items():
                if name not in found:
                    continue
                id_, status = found[name]
                if not entry.states or entry.states[-1].status != status:
                    states = (*entry.states, State(status=status, at_ns=at))
                    self._entries[name] = entry.model_copy(update={"states": states, "stack_id": id_})

    def await_final(self, within_s: float) -> bool:
        """Wait until every stack that Heat took on is final."""
        deadline = time.monotonic() + within_s
        while True:
            self._check()
            self.look()
            if all(e.final for e in self.entries if e.taken):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)

    def read_back(self) -> None:
        """Read the output of every complete stack once."""
        complete = [e for e in self.entries if e.outcome == "CREATE_COMPLETE"]
        with ThreadPoolExecutor(READ_IN_FLIGHT) as pool:
            for entry, read in zip(complete, pool.map(self._read, complete), strict=True):
                self._note(entry.name, read=read)

    def _read(self, entry: Entry) -> Read:
        self._check()
        call, answer = self.client.call("show", "GET", f"/stacks/{entry.name}/{entry.stack_id}")
        outputs = answer["stack"].get("outputs", []) if call.ok and answer else []
        word = next((str(o.get("output_value") or "") for o in outputs if o["output_key"] == "word"), "")
        as_made = SECRET.fullmatch(word) is not None
        said = f"{len(word)} characters instead of 32 letters and digits" if not as_made else "made"
        return Read(call=call, as_made=as_made, said=said)

    def delete_all(self) -> tuple[str, ...]:
        """Delete every stack that was made, and wait until all are gone; what is left, by name.

        They are waited for as long as the list gets shorter, see `Patience`.
        Raises `EvidenceUnavailable` where the list is not answered in the end: unseen is not gone.
        """
        there = [e for e in self.entries if e.stack_id is not None]
        with ThreadPoolExecutor(READ_IN_FLIGHT) as pool:
            for entry, call in zip(there, pool.map(self._delete, there), strict=True):
                self._note(entry.name, delete=call)
        patience = Patience()
        again = [e for e in self.entries if e.delete is not None and not e.delete.ok]
        while True:
            self._check()
            at = time.time_ns()
            found = self.listed()
            while again and found is not None:
                entry = again.pop()
                if entry.name in found and found[entry.name][1] != "DELETE_IN_PROGRESS":
                    self._delete(entry)
            if found is not None:
                for entry in self.entries:
                    if entry.name not in found and entry.delete and entry.gone_ns is None:
                        self._note(entry.name, gone_ns=at)
                    elif entry.name in found and not entry.delete:
                        again += self._delete_late(entry, found[entry.name][0])
                if not awaited(found):
                    return tuple(found)
            if patience.ends(awaited(found)):
                if found is None:
                    raise EvidenceUnavailable("/stacks", "could not be listed after the deletes")
                return tuple(f"{name} ({status})" for name, (_, status) in found.items())
            time.sleep(POLL_S)

    def _delete_late(self, entry: Entry, id_: str) -> list[Entry]:
        """Delete a stack that was listed only now; itself, where that is not answered either."""
        entry = entry.model_copy(update={"stack_id": id_})
        call = self._delete(entry)
        self._note(entry.name, stack_id=id_, delete=call)
        return [] if call.ok else [entry]

    def _delete(self, entry: Entry) -> HeatCall:
        return self.client.call("delete", "DELETE", f"/stacks/{entry.name}/{entry.stack_id}")[0]

    def _note(self, name: str, **what: Model | int | str) -> None:
        with self._lock:
            self._entries[name] = self._entries[name].model_copy(update=what)

    def remove(self) -> None:
        """Delete whatever is still listed, in whatever state; for the end of an experiment that broke.

        Where nobody answers twice running nothing can be deleted, and nothing is waited for.
        """
        for _ in range(2):
            found = self.listed()
            if found is None:
                continue
            if found == {}:
                return
            for name, (id_, status) in found.items():
                if status != "DELETE_IN_PROGRESS":
                    self.client.call("delete", "DELETE", f"/stacks/{name}/{id_}")
            deadline = time.monotonic() + REMOVE_S / 2
            while self.listed() and time.monotonic() < deadline:
                time.sleep(POLL_S)


class Patience:
    """How long deletes are waited for: on a slow machine they take long, but the list gets shorter.

    Until nothing was gone for `REMOVE_S`, at most for the stacks' own timeout.
    """

    def __init__(self) -> None:
        self._began = self._progress = time.monotonic()
        self._fewest = math.inf

    def ends(self, left: int | None) -> bool:
        """Whether it is at its end, `left` stacks being listed yet (None: the list was not answered)."""
        now = time.monotonic()
        if left is not None and left < self._fewest:
            self._fewest, self._progress = left, now
        return now > min(self._progress + REMOVE_S, self._began + TIMEOUT_MIN * 60)


def awaited(found: Mapping[str, tuple[str, str]] | None) -> int | None:
    """How many of the listed stacks may still go: one whose delete failed stays as it is."""
    if found is None:
        return None
    return sum(status != "DELETE_FAILED" for _, status in found.values())


@contextmanager
def stacks(
    client: HeatClient, resources: int, check: Callable[[], None] = lambda: None
) -> Iterator[Stacks]:
    """Stacks that are removed in the end, whatever happens.

    `check` is called under way; what it raises ends the experiment.
    """
    made = Stacks(client, resources, check)
    try:
        yield made
    finally:
        made.remove()


@contextmanager
def depths(deployment: Deployment, every_s: float = 0.1) -> Iterator[list[Depth]]:
    """Note how many messages wait in both queues, by passive declares, until the context is left."""
    noted: list[Depth] = []
    connection = connect(deployment)
    channel = connection.channel()

    def look() -> None:
        engine, worker = (
            int(channel.queue_declare(queue, passive=True).method.message_count)
            for queue in (ENGINE, WORKER)
        )
        noted.append(Depth(at_ns=time.time_ns(), engine=engine, engine_worker=worker))

    try:
        # Where the looks end early, what was not noted shows: the peak is of what there is.
        with Repeated("depths", every_s, look):
            yield noted
    finally:
        with suppress(pika.exceptions.AMQPError):
            connection.close()


def identified(entries: Iterable[Entry], calls: Iterable[Delivery]) -> tuple[Entry, ...]:
    """The entries with the request id of each create, from the trace where its client got no answer."""
    traced = {c.stack_name: c.request_id for c in calls if c.method == "create_stack" and c.request_id}

    def known(entry: Entry) -> Entry:
        id_ = entry.create.request_id or traced.get(entry.name)
        return entry.model_copy(update={"create": entry.create.model_copy(update={"request_id": id_})})

    return tuple(known(entry) for entry in entries)


def attributed(entries: Iterable[Entry], engines: dict[str, str]) -> tuple[Entry, ...]:
    """The entries with the engine of each call that the trace names, by request id."""

    def named(call: HeatCall) -> HeatCall:
        engine = engines.get(call.request_id) if call.request_id else None
        return call.model_copy(update={"engine": engine})

    def reading(read: Read | None) -> Read | None:
        return read.model_copy(update={"call": named(read.call)}) if read else None

    return tuple(
        entry.model_copy(
            update={
                "create": named(entry.create),
                "read": reading(entry.read),
                "delete": named(entry.delete) if entry.delete else None,
            }
        )
        for entry in entries
    )
