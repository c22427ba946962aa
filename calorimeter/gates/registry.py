"""The gates: what each is called, what it needs and how far it goes.

A gate is a test function of `verify/test_*.py` with the `gate` decorator. The first line of its
docstring is its heading in reports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from typing import Literal, TypeVar

import pytest

from calorimeter.core import shipped
from calorimeter.core.deployment import Consent, Deployment, Part
from calorimeter.core.errors import unknown
from calorimeter.core.faults.schedule import Commands, commands
from calorimeter.core.verdict import gate_order

F = TypeVar("F", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Break:
    """A fault that a gate brings about, and in which of the parts of each kind that can be given it."""

    fault: str
    which: Literal["first", "last", "every"] = "first"
    kinds: tuple[str, ...] = ("rest", "cfn")

    def planned(self, deployment: Deployment) -> list[Commands]:
        """The commands by which it would be done."""
        found: list[Commands] = []
        for kind in self.kinds:
            able = [c for part in _parts(deployment, kind) if (c := commands(part, self.fault))]
            found += {"first": able[:1], "last": able[-1:], "every": able}[self.which]
        return found


def _parts(deployment: Deployment, kind: str) -> list[Part]:
    """The parts of a kind; those of an API in the order of its backends."""
    parts = {part.name: part for part in deployment.parts}
    api = deployment.api(kind) if kind in ("rest", "cfn") else None
    if api is not None:
        return [parts[backend.name] for backend in api.backends if backend.name in parts]
    return [part for part in deployment.parts if part.kind == kind]


@dataclass(frozen=True, slots=True)
class Gate:
    """What is known of a gate before it runs.

    `guide` quotes the sentence of the guide that is tested; `needs` names the parts of a deployment
    (as `calorimeter doctor` lists them) without which it can only be INCONCLUSIVE; `breaks` what it
    breaks, `may_break` what it breaks for more evidence where that is allowed.
    """

    id: str
    heading: str
    guide: str
    consent: Consent
    needs: tuple[str, ...]
    breaks: tuple[Break, ...] = ()
    may_break: tuple[Break, ...] = ()

    def planned(self, deployment: Deployment, *, may_break: bool) -> list[Commands]:
        """The commands by which it breaks parts of a deployment; with those that it could do without."""
        breaks = self.breaks + (self.may_break if may_break else ())
        return [each for one in breaks for each in one.planned(deployment)]


FILES: dict[str, tuple[str, Callable[[Deployment], bool]]] = {
    "proxy files": ("HAProxy configuration ([[proxy]] config)", lambda d: any(p.config for p in d.proxy)),
    "heat files": ("heat.conf ([[heat_conf]])", lambda d: bool(d.heat_conf)),
}
"""What a gate needs that is a file → what it is, and whether a deployment names one."""


def missing_files(deployment: Deployment, gate: Gate) -> str | None:
    """The files that a gate reads and the deployment does not name; None where it names all."""
    missing = [FILES[need][0] for need in gate.needs if need in FILES and not FILES[need][1](deployment)]
    return " and no ".join(missing) or None


RECORDINGS = {"recorded load": "a recorded load (--run RUN)", "baseline": "a baseline (--baseline RUN)"}
"""What a gate needs that an earlier run recorded → how to give it. Such a gate touches nothing."""


def missing_recordings(gate: Gate, given: Container[str]) -> str | None:
    """The recordings that a gate is judged from and were not given; None where all were."""
    missing = [told for need, told in RECORDINGS.items() if need in gate.needs and need not in given]
    return " and ".join(missing) or None


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
) -> Callable[[F], F]:
    """Declare a test function to be a gate."""

    def declare(function: F) -> F:
        heading = (function.__doc__ or "").partition("\n")[0].rstrip(".")
        assert heading, f"gate {gate_id} has no docstring"
        declared = Gate(gate_id, heading, guide, consent, needs, breaks, may_break)
        GATES[gate_id] = declared
        marked: F = pytest.mark.gate(declared)(function)
        return marked

    return declare


def known() -> dict[str, Gate]:
    """Every gate of the suite, and of the test modules that were imported, in order of their ids."""
    for file in sorted(shipped.folder("verify").glob("test_*.py")):
        name = f"{__name__}.{file.stem}"
        if name not in sys.modules:
            spec = spec_from_file_location(name, file)
            assert spec is not None and spec.loader is not None
            sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    return {gate_id: GATES[gate_id] for gate_id in sorted(GATES, key=gate_order)}


def select(wanted: str | None, gates: dict[str, Gate], *, where: str = "--gates") -> dict[str, bool]:
    """Which gates `wanted` means: id → whether it was named itself, not only by its letter.

    `wanted` lists ids and letters (`S1,H1,E`); None means all. Raises `InputError` for what is neither.
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
