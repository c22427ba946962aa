"""Virtual hosts of a lab's RabbitMQ: made, removed, and how many engines consume in one."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import requests

from calorimeter.lab.daemons import broker_queries, rabbitmq_node
from calorimeter.lab.lab_state import Lab

RIGHTS = {"configure": ".*", "write": ".*", "read": ".*"}


def make(lab: Lab, vhost: str) -> None:
    """Make a virtual host for the lab's account; one that exists stays as it is."""
    name = quote(vhost, safe="")
    for path, body in ((f"vhosts/{name}", {}), (f"permissions/{name}/{rabbitmq_node.user(lab)}", RIGHTS)):
        _management(lab, "PUT", path, body).raise_for_status()


def remove(lab: Lab, vhost: str) -> None:
    """Remove a virtual host, with its queues; one that does not exist is no error."""
    answer = _management(lab, "DELETE", f"vhosts/{quote(vhost, safe='')}")
    if answer.status_code != requests.codes.not_found:
        answer.raise_for_status()


def engine_consumers(lab: Lab, vhost: str) -> int:
    """The number of consumers of the queue `engine` in a virtual host; 0 if RabbitMQ does not answer."""
    with suppress(requests.RequestException, ValueError):
        listed = _management(lab, "GET", f"consumers/{quote(vhost, safe='')}").json()
        return sum(each["queue"]["name"] == "engine" for each in listed)
    return 0


def _management(lab: Lab, method: str, path: str, body: object = None) -> requests.Response:
    with requests.Session() as http:
        http.trust_env = False
        http.verify = lab.verify
        http.auth = broker_queries.account(lab)
        url = broker_queries.management_url(lab, broker_queries.answering(lab))
        return http.request(method, f"{url}/{path}", json=body, timeout=10)
