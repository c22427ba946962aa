"""Software configurations and deployments: things of a user that are no stacks."""

from __future__ import annotations

import json

from calorimeter.load.apis.stack_api import UnintelligibleError
from calorimeter.load.http import answers
from calorimeter.load.http.client import Answer
from calorimeter.load.operations.operation import Actor, Config, Operation
from calorimeter.load.operations.rest_requests import Ask, api_of, ask, server_id
from calorimeter.load.operations.subjects import config_of

MAX_CONFIGS = 4
"""Of one user at a time."""


def has_room(actor: Actor) -> bool:
    """Whether a user may have one more configuration."""
    return len(actor.belongings.configs) < MAX_CONFIGS


def config_create(actor: Actor, operation: Operation) -> None:
    """Make a configuration whose name says which run and user made it."""
    name = actor.next_name()
    body = {"name": name, "group": "script", "config": "#!/bin/sh\ntrue\n", "inputs": [], "outputs": []}
    data = api_of(actor).call("POST", operation.route, body)
    answer, made = actor.request(operation, data, _software_config)
    if made:
        actor.belongings.configs.append(Config(made))
    elif answers.meaning(answer).unknown:
        actor.unaccounted(name)


def _made(answer: Answer, kind: str) -> str:
    try:
        return str(json.loads(answer.body)[kind]["id"])
    except (ValueError, KeyError, TypeError) as problem:
        raise UnintelligibleError(f"a {kind} without an id") from problem


def _software_config(answer: Answer) -> str:
    return _made(answer, "software_config")


def _software_deployment(answer: Answer) -> str:
    return _made(answer, "software_deployment")


def config_delete(actor: Actor, operation: Operation) -> None:
    """Delete a configuration that has no deployments."""
    assert operation.subject is not None
    config = config_of(actor, operation.subject)
    if not ask(actor, operation, config, Ask(begins="")).error:
        actor.belongings.configs.remove(config)


def deployment_create(actor: Actor, operation: Operation) -> None:
    """Deploy a configuration to the server that this user pretends to have."""
    assert operation.subject is not None
    config = config_of(actor, operation.subject)
    body = {
        "config_id": config.config_id,
        "server_id": server_id(actor),
        "action": "CREATE",
        "status": "IN_PROGRESS",
        "status_reason": "load",
        "input_values": {},
    }
    data = api_of(actor).call("POST", operation.route, body)
    _, made = actor.request(operation, data, _software_deployment)
    if made:
        config.deployments.append(made)


def deployment_delete(actor: Actor, operation: Operation) -> None:
    """Delete a deployment."""
    assert operation.subject is not None
    config = config_of(actor, operation.subject)
    if not ask(actor, operation, config, Ask(begins="")).error:
        del config.deployments[0]
