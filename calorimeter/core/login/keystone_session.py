"""Sessions with Keystone, with the deployment's TLS settings and the right use of the user's own proxy."""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
    where: str,
    urls: Sequence[str],
    timeout_s: float,
    auth: BaseIdentityPlugin | None,
    verify: bool | str,
) -> Session:
    """A session with the Keystone at the first of `urls`; it may send to the others, too, and to the APIs.

    keystoneauth follows redirects, and the addresses in a list of versions: those that lead to another host
    are refused (`HttpSession`). `auth` and `verify` are the defaults of its requests.
    """
    from keystoneauth1.session import Session

    from calorimeter.core.login.http_session import HttpSession

    apis = [api.url for api in (deployment.rest, deployment.cfn) if api is not None]
    http = HttpSession(where, *urls, *apis, environment=not bypasses_proxy(deployment, urls[0]))
    return Session(auth=auth, verify=verify, timeout=timeout_s, session=http)
