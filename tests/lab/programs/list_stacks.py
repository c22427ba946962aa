"""List stacks with python-heatclient and the endpoint of the catalog; runs in Heat's environment."""

import os

from heatclient import client  # type: ignore[import-not-found]
from keystoneauth1 import session
from keystoneauth1.identity import v3

NAMES = {
    "auth_url": "OS_AUTH_URL",
    "username": "OS_USERNAME",
    "password": "OS_PASSWORD",
    "project_name": "OS_PROJECT_NAME",
    "user_domain_name": "OS_USER_DOMAIN_NAME",
    "project_domain_name": "OS_PROJECT_DOMAIN_NAME",
}
identity = session.Session(auth=v3.Password(**{key: os.environ[name] for key, name in NAMES.items()}))
heat = client.Client("1", session=identity, region_name=os.environ["OS_REGION_NAME"])
endpoint = identity.get_endpoint(service_type="orchestration", interface="public")
print(endpoint, len(list(heat.stacks.list())))
