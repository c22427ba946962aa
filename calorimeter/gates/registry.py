"""The gates: the name, the needs and the consent level of each.

A gate is a test function of `verify/test_*.py` with the `gate` decorator. The first line of its
docstring is its heading in reports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Literal, TypeVar

import pytest

from calorimeter.core import shipped
from calorimeter.core.deployment import Consent, Deployment
from calorimeter.core.errors import unknown
from calorimeter.core.faults.schedule import FaultCommands, commands, refusal
from calorimeter.core.verdict import gate_order
from calorimeter.gates.marker import MARKER

F = TypeVar("F", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Break:
    """A fault that a gate injects, and which parts of each kind it injects it into.

    Parts for which the owner gave no command are passed over; so are those that carry no proxy, if
    `of_proxy`. With fewer than `fewest` brokers (kind `broker`) or else proxies, there is no other that
    could take over, and the gate does not apply.
    """

    fault: str
    which: Literal["first", "last", "every"] = "first"
    kinds: tuple[str, ...] = ("rest", "cfn")
    of_proxy: bool = False
    fewest: int = 1

    def __str__(self) -> str:
        whose = " of a proxy" if self.of_proxy and self.kinds != ("proxy",) else ""
        return f"{self.fault} ({', '.join(f'{self.which} {kind}{whose}' for kind in self.kinds)})"

    def too_few(self, deployment: Deployment) -> str | None:
        """Why there is no other part that could take over; None if there is."""
        if self.fewest < 2:  # a single one may be broken, too
            return None
        brokers = deployment.broker.nodes if deployment.broker else ()
        what, there = ("brokers", brokers) if "broker" in self.kinds else ("proxies", deployment.proxy)
        if len(there) >= self.fewest:
            return None
        return f"needs {self.fewest} {what}, {len(there)} described"

    def planned(self, deployment: Deployment) -> list[FaultCommands]:
        """The commands that inject the fault into the parts of a deployment."""
        found: list[FaultCommands] = []
        for kind in self.kinds:
            parts = deployment.parts_of(kind)
            if self.of_proxy and kind != "proxy":
                parts = tuple(part for part in parts if part.proxy)
            able = [c for part in parts if (c := commands(part, self.fault))]
            found += {"first": able[:1], "last": able[-1:], "every": able}[self.which]
        return found


@dataclass(frozen=True, slots=True)
class Beside:
    """A shared experiment of a gate that begins with the first of other `gates`, and ends with the last.

    None of them disturbs it, or is disturbed by it. Any other gate begins only when it has ended.
    """

    experiment: Callable[..., object]
    gates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as its `gate` decorator declares it.

    `guide` quotes the sentence of the guide that the gate tests. `needs` names the parts of a deployment
    (as `calorimeter doctor` lists them) without which the gate is INCONCLUSIVE. `breaks` are the faults
    that it injects, `may_break` those that it injects only if that is allowed, for more evidence.
    `function` is the test function. `beside` is the part of it that can go on during other gates.
    """

    id: str
    heading: str
    guide: str
    consent: Consent
    needs: tuple[str, ...]
    breaks: tuple[Break, ...]
    may_break: tuple[Break, ...]
    function: Callable[..., None]
    beside: Beside | None = None

    @property
    def shipped(self) -> bool:
        """Whether it is a gate of this suite, not one of another suite that may have the same id."""
        return Path(self.function.__code__.co_filename).resolve().parent == shipped.folder("verify")

    @property
    def quick(self) -> bool:
        """Whether a first look has it: it injects no fault and no load, and waits for no timeout."""
        return not self.breaks and self.consent is not Consent.LOAD and self.beside is None

    def planned(self, deployment: Deployment, *, may_break: bool) -> list[FaultCommands]:
        """The commands that inject its faults; those of `may_break` only if `may_break`."""
        breaks = self.breaks + (self.may_break if may_break else ())
        return [each for one in breaks for each in one.planned(deployment)]


FILES: dict[str, tuple[str, Callable[[Deployment], bool]]] = {
    "proxy files": ("HAProxy configuration ([[proxy]] config)", lambda d: any(p.config for p in d.proxy)),
    "heat files": ("heat.conf ([[heat_conf]])", lambda d: bool(d.heat_conf)),
}
"""Needs of gates that are files → what they are, and whether a deployment names one."""


def missing_files(deployment: Deployment, gate: Gate) -> str | None:
    """The files that a gate reads and the deployment does not name; None if it names all."""
    missing = [FILES[need][0] for need in gate.needs if need in FILES and not FILES[need][1](deployment)]
    return " and no ".join(missing) or None


TABLES: dict[str, Callable[[Deployment], bool]] = {"database": lambda d: d.database is not None}
"""Needs of gates that are optional tables of the deployment file → whether a deployment has the table."""


def missing_tables(deployment: Deployment, gate: Gate) -> str | None:
    """The tables that a gate needs and the deployment does not have; None if it has all."""
    missing = [f"[{need}]" for need in gate.needs if need in TABLES and not TABLES[need](deployment)]
    return " and no ".join(missing) or None


RECORDINGS = {
    "recorded load": "a recorded load (--run RUN)",
    "recorded upgrade": "a run of `calorimeter upgrade` (--run RUN)",
    "baseline": "a baseline (--baseline RUN)",
    "history": "the folder of earlier runs (--history RUNS)",
    "soak": "a recorded load of 10 minutes or more (--run RUN)",
}
"""Needs of gates that an earlier run recorded → how to give them. Such a gate touches no deployment."""


def reads_only(gate: Gate) -> bool:
    """Whether a gate reads files or recordings, and sends nothing to the deployment."""
    return bool(gate.needs) and set(gate.needs) <= {*FILES, *RECORDINGS}


def missing_recordings(gate: Gate, given: Container[str]) -> str | None:
    """The recordings that a gate is judged from and that were not given; None if all were given."""
    missing = [option for need, option in RECORDINGS.items() if need in gate.needs and need not in given]
    return " and ".join(missing) or None


def why_not_run(
    gate: Gate, deployment: Deployment, recordings: Container[str], yes_break_it: bool
) -> str | None:
    """Why a gate may not run: what it lacks, or whose consent; None if it may."""
    level = deployment.consent.level
    if missing := missing_recordings(gate, recordings):
        return f"needs {missing}"
    if missing := missing_files(deployment, gate):
        return f"{deployment.path} names no {missing}"
    if missing := missing_tables(deployment, gate):
        return f"{deployment.path} has no {missing}"
    if not level.allows(gate.consent):
        return f"needs consent = {gate.consent.value!r}, [consent] gives {level.value!r}"
    return refusal(deployment, yes_break_it) if gate.breaks else None


GATES: dict[str, Gate] = {}
"""All gates whose modules have been imported, by id."""


def gate(
    gate_id: str,
    *,
    guide: str,
    needs: tuple[str, ...],
    consent: Consent = Consent.PASSIVE,
    breaks: tuple[Break, ...] = (),
    may_break: tuple[Break, ...] = (),
    beside: Beside | None = None,
) -> Callable[[F], F]:
    """Declare a test function to be a gate."""

    def declare(function: F) -> F:
        heading = (function.__doc__ or "").partition("\n")[0].rstrip(".")
        assert heading, f"gate {gate_id} has no docstring"
        declared = Gate(gate_id, heading, guide, consent, needs, breaks, may_break, function, beside)
        GATES[gate_id] = declared
        marked: F = getattr(pytest.mark, MARKER)(declared)(function)
        return marked

    return declare


def known() -> dict[str, Gate]:
    """The suite's gates, and those of all test modules that were imported, in order of their ids.

    A gate of an imported module replaces the suite's gate of that id.
    """
    imported = dict(GATES)
    for file in sorted(shipped.folder("verify").glob("test_*.py")):
        name = f"{__name__}.{file.stem}"
        if name not in sys.modules:
            spec = spec_from_file_location(name, file)
            assert spec is not None and spec.loader is not None
            sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    GATES.update(imported)
    return {gate_id: GATES[gate_id] for gate_id in sorted(GATES, key=gate_order)}


def check_waivers(deployment: Deployment, gates: dict[str, Gate]) -> None:
    """Raise InputError if the deployment waives a gate that does not exist."""
    for waived in deployment.waive:
        # A6 is a gate; A6-no-check is a rule of the audit, which belongs to that gate.
        select(waived.partition("-")[0], gates, where=f"{deployment.path}: waive")


def select(wanted: str | None, gates: dict[str, Gate], *, where: str = "--gates") -> dict[str, bool]:
    """The gates that `wanted` selects: id → whether it is named by its id, not only by its letter.

    `wanted` lists ids and letters (`S1,H1,E`); None selects all. Raises InputError for any other word.
    """
    if wanted is None:
        return dict.fromkeys(gates, False)
    letters = {gate_order(gate_id)[0] for gate_id in gates}
    chosen: dict[str, bool] = {}
    for word in filter(None, (part.strip() for part in wanted.split(","))):
        if word.upper() in gates:
            chosen[word.upper()] = True
        elif word.upper() in letters:
            for gate_id in gates:
                if gate_order(gate_id)[0] == word.upper():
                    chosen.setdefault(gate_id, False)
        else:
            raise unknown(where, "gate", word, [*gates, *letters])
    if not chosen:
        raise unknown(where, "gate", wanted, [*gates, *letters])
    return {gate_id: chosen[gate_id] for gate_id in gates if gate_id in chosen}
