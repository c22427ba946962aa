"""All operations by API and name, as scenarios and samples name them."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate

from calorimeter.core.clock import now_ns
from calorimeter.core.errors import InputError, nearest, unknown
from calorimeter.load.operations import cfn_operations, rest_operations
from calorimeter.load.operations.operation import Actor, Operation, always
from calorimeter.load.operations.subjects import NEEDS
from calorimeter.workload.scenario import Load, Scenario

REGISTRY: dict[tuple[str, str], Operation] = {
    (op.api, op.name): op for op in (*rest_operations.OPERATIONS, *cfn_operations.OPERATIONS)
}

DELETE = {"rest": REGISTRY["rest", "delete"], "cfn": REGISTRY["cfn", "DeleteStack"]}
"""The operation that deletes a stack, by API."""


def mixable(api: str) -> dict[str, Operation]:
    """The operations that a scenario may name in the mix of one API, by name."""
    return {
        name: op
        for (of, name), op in REGISTRY.items()
        if (op.asked_by or of) == api and op.perform is not None
    }


def apis(scenario: Scenario) -> set[str]:
    """The APIs that a scenario uses; users of one API may have operations of the other in their mix."""
    loads = [(api, load) for api in ("rest", "cfn") if (load := scenario.load(api))]
    return {mixable(api)[name].api for api, load in loads for name in load.mix}


def tagged(scenario: Scenario) -> bool:
    """Whether the scenario's mix lists stacks by tag, so that stacks must have one."""
    return scenario.rest is not None and "list-tags" in scenario.rest.mix


def check(scenario: Scenario) -> None:
    """Raise InputError if a mix or objective names an unknown operation, or one that is never possible."""
    for api in ("rest", "cfn"):
        load = scenario.load(api)
        if load is not None:
            _check_mix(f"{scenario.path}: {api}.mix", api, load)
    known = {"*", *(f"{api}.{name}" for api, name in REGISTRY)}
    for number, objective in enumerate(scenario.objectives, 1):
        if objective.operation not in known:
            raise _unknown(f"{scenario.path}: objectives[{number}]", objective.operation, known)


def _check_mix(where: str, api: str, load: Load) -> None:
    valid = mixable(api)
    for name in load.mix:
        if name not in valid:
            raise _unknown(where, name, valid)
    given = {subject.name for name in load.mix for subject in valid[name].gives}
    for name in load.mix:
        operation = valid[name]
        subject = operation.subject
        if subject is not None:
            for needed in (
                subject,
                *(more for of, mores in NEEDS.items() if of.name == subject.name for more in mores),
            ):
                if needed.name not in given:
                    raise InputError(
                        where, f"{name!r} needs {needed.name}", f"valid: with {_givers(valid, needed.name)}"
                    )
        trait = operation.trait
        if trait is not None and not any(trait.shown_by(template) for template in load.templates):
            names = ", ".join(template.name for template in load.templates)
            raise InputError(where, f"{name!r} needs a template with {trait.name}", f"{names} has none")


def _givers(valid: dict[str, Operation], subject: str) -> str:
    names = [name for name, op in valid.items() if any(given.name == subject for given in op.gives)]
    return " or ".join(names[:3]) + " in the mix"


def _unknown(where: str, name: str, valid: object) -> InputError:
    """The error; too many operations for one line are replaced by the page that lists them."""
    names = sorted(valid)  # type: ignore[call-overload]
    if len(names) < 30:
        return unknown(where, "operation", name, names)
    return InputError(
        where,
        f"unknown operation {name!r}",
        "valid: see docs/reference/operations.md",
        nearest(name, names),
    )


class OperationMix:
    """Operations with weights, from which all users of an API draw."""

    def __init__(self, weights: dict[Operation, float]) -> None:
        self._weights = weights
        self._conditions = [
            (1 << number, op.possible) for number, op in enumerate(weights) if op.possible is not always
        ]
        self._drawers: dict[int, tuple[list[Operation], list[float]]] = {}

    def draw(self, actor: Actor) -> Operation | None:
        """One of the operations that are possible now, by weight; None if none is possible."""
        impossible = 0
        for bit, possible in self._conditions:
            if not possible(actor):
                impossible |= bit
        operations, bounds = self._drawers.get(impossible) or self._drawer(impossible)
        if not operations:
            return None
        return operations[bisect(bounds, actor.random.random() * bounds[-1], 0, len(bounds) - 1)]

    def _drawer(self, impossible: int) -> tuple[list[Operation], list[float]]:
        possible = {
            op: weight
            for number, (op, weight) in enumerate(self._weights.items())
            if not impossible >> number & 1
        }
        drawer = self._drawers[impossible] = list(possible), list(accumulate(possible.values()))
        return drawer


def mix_of(scenario: Scenario, api: str) -> OperationMix:
    """The mix of one API's users. Raises InputError if the scenario has none."""
    load = scenario.load(api)
    if load is None:
        raise InputError(str(scenario.path), f"has no [{api}] table")
    operations = mixable(api)
    return OperationMix({operations[name]: weight for name, weight in load.mix.items()})


def remove_configs(actor: Actor) -> None:
    """Remove a user's software configurations and deployments, while there is time."""
    if actor.api.name != "rest":
        return

    def remaining() -> tuple[int, int]:
        return len(actor.configs), sum(len(config.deployments) for config in actor.configs)

    for operation in (REGISTRY["rest", "deployment-delete"], REGISTRY["rest", "config-delete"]):
        assert operation.subject is not None and operation.perform is not None
        for _ in range(100):
            before = remaining()
            if not operation.subject.of(actor) or now_ns() >= actor.until_ns(actor.complete_within_s):
                break
            operation.perform(actor, operation)
            if remaining() == before:
                break
