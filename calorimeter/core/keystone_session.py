"""How Keystone is asked: with the deployment's TLS, and past the user's own proxy where that is right."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from calorimeter.core.deployment import Deployment, address

if TYPE_CHECKING:
    from keystoneauth1.identity.base import BaseIdentityPlugin
    from keystoneauth1.session import Session


def bypasses_proxy(deployment: Deployment, url: str) -> bool:
    """Whether a URL is never asked for through a proxy that the environment names (`http_proxy`).

    A cloud's Keystone may really be behind one; this machine and the hosts of the deployment's own APIs
    are not.
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
    deployment: Deployment, url: str, timeout_s: float, auth: BaseIdentityPlugin | None = None
) -> Session:
    """A session with the Keystone at `url`; `auth` is used where a request names none of its own."""
    import requests
    from keystoneauth1.session import Session

    http = requests.Session()
    http.trust_env = not bypasses_proxy(deployment, url)
    return Session(auth=auth, verify=deployment.tls.for_requests, timeout=timeout_s, session=http)
