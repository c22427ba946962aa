"""Sessions with Keystone, with the deployment's TLS settings and the right use of the user's own proxy."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from calorimeter.core.deployment import Deployment, address

if TYPE_CHECKING:
    from keystoneauth1.identity.base import BaseIdentityPlugin
    from keystoneauth1.session import Session

logging.getLogger("keystoneauth").setLevel(logging.ERROR)  # its warnings repeat what it raises


def bypasses_proxy(deployment: Deployment, url: str) -> bool:
    """Whether requests to `url` ignore the proxy that the environment names (`http_proxy`).

    They do for this machine and for the hosts of the deployment's own APIs. A cloud's Keystone may only be
    reachable through that proxy.
    """
    host = urlsplit(url).hostname or ""
    apis = [api for api in (deployment.rest, deployment.cfn) if api is not None]
    own = {urlsplit(api.url).hostname for api in apis}
    own |= {address(backend.address).host for api in apis for backend in api.backends}
    try:
        return host in own or ip_address(host).is_loopback
    except ValueError:
        return host in own or host == "localhost"


def keystone_session(
    deployment: Deployment,
    url: str,
    timeout_s: float,
    auth: BaseIdentityPlugin | None,
    verify: bool | str,
) -> Session:
    """A session with the Keystone at `url`. `auth` and `verify` are the defaults of its requests."""
    import requests
    from keystoneauth1.session import Session

    http = requests.Session()
    http.trust_env = not bypasses_proxy(deployment, url)
    return Session(auth=auth, verify=verify, timeout=timeout_s, session=http)
