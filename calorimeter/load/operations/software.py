"""Software configurations and their deployments."""

from __future__ import annotations

from calorimeter.load.apis.rest import id_in
from calorimeter.load.http import answers
from calorimeter.load.operations.operation import Actor, Operation, SoftwareConfig
from calorimeter.load.operations.rest_requests import SingleRequest, api_of, request_about, server_id
from calorimeter.load.operations.subjects import config_for

MAX_CONFIGS = 4
"""The most configurations of one user at a time."""


def has_room(actor: Actor) -> bool:
    """Whether a user may have one more configuration."""
    return len(actor.configs) < MAX_CONFIGS


def config_create(actor: Actor, operation: Operation) -> None:
    """Create a configuration whose name shows the run and the user."""
    name = actor.next_name()
    body = {"name": name, "group": "script", "config": "#!/bin/sh\ntrue\n", "inputs": [], "outputs": []}
    data = api_of(actor).call("POST", operation.route, body)
    answer, created = actor.request(operation, data, lambda answer: id_in(answer, "software_config", "id"))
    if created:
        actor.configs.append(SoftwareConfig(created))
    elif answers.meaning(answer).unknown:
        actor.unaccounted(name)


def config_delete(actor: Actor, operation: Operation) -> None:
    """Delete a configuration that has no deployments."""
    config = config_for(actor, operation)
    if not request_about(actor, operation, config, SingleRequest(begins="")).error:
        actor.configs.remove(config)


def deployment_create(actor: Actor, operation: Operation) -> None:
    """Deploy a configuration to the server that this user pretends to have."""
    config = config_for(actor, operation)
    body = {
        "config_id": config.config_id,
        "server_id": server_id(actor),
        "action": "CREATE",
        "status": "IN_PROGRESS",
        "status_reason": "load",
        "input_values": {},
    }
    data = api_of(actor).call("POST", operation.route, body)
    _, created = actor.request(operation, data, lambda answer: id_in(answer, "software_deployment", "id"))
    if created:
        config.deployments.append(created)


def deployment_delete(actor: Actor, operation: Operation) -> None:
    """Delete a deployment."""
    config = config_for(actor, operation)
    if not request_about(actor, operation, config, SingleRequest(begins="")).error:
        del config.deployments[0]
