"""Create a stack and delete it, with the identity in OS_*: `create_and_delete.py REST-URL BODY`."""

import json
import os
import sys
import urllib.request
from http.client import HTTPResponse


def ask(method: str, url: str, body: object = None, headers: dict[str, str] | None = None) -> HTTPResponse:
    """Send one request through the proxy of the environment."""
    data = None if body is None else json.dumps(body).encode()
    head = {"Content-Type": "application/json", **(headers or {})}
    answer = urllib.request.urlopen(urllib.request.Request(url, data, head, method=method))
    assert isinstance(answer, HTTPResponse)
    return answer


user = {
    "name": os.environ["OS_USERNAME"],
    "password": os.environ["OS_PASSWORD"],
    "domain": {"name": os.environ["OS_USER_DOMAIN_NAME"]},
}
project = {"name": os.environ["OS_PROJECT_NAME"], "domain": {"name": os.environ["OS_PROJECT_DOMAIN_NAME"]}}
identity = {"methods": ["password"], "password": {"user": user}}
auth = {"auth": {"identity": identity, "scope": {"project": project}}}
issued = ask("POST", os.environ["OS_AUTH_URL"] + "/auth/tokens", auth)
token = {"X-Auth-Token": issued.headers["X-Subject-Token"]}
body = json.loads(sys.argv[2])
url = f"{sys.argv[1]}/{json.load(issued)['token']['project']['id']}/stacks"
stack = json.load(ask("POST", url, body, token))["stack"]
ask("DELETE", f"{url}/{body['stack_name']}/{stack['id']}", None, token)
