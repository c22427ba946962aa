"""Reads, checks and tries everything that a load needs, before any user starts."""

from __future__ import annotations

import logging
from pathlib import Path

from calorimeter.core import tls_front
from calorimeter.core.deployment import Api, Consent, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.core.login.keystone_login import UNRESTRICTED
from calorimeter.core.source_addresses import SourceAddresses
from calorimeter.load.apis.cfn import CfnApi
from calorimeter.load.apis.keystone_tokens import Token, cfn_signer
from calorimeter.load.apis.rest import RestApi
from calorimeter.load.apis.stack_api import StackApi
from calorimeter.load.http.client import Answer, Client, RequestTimeouts
from calorimeter.load.operations import operation_table
from calorimeter.load.run.session import ApiUnderLoad, LoadSession, target
from calorimeter.load.tenants import tenants
from calorimeter.load.tenants.leftovers import TIMEOUTS, Cleaner
from calorimeter.workload import catalogue

log = logging.getLogger(__name__)


def prepare(deployment_file: Path, scenario_name: str) -> LoadSession:
    """The session of a load whose deployment accepts requests.

    Raises InputError for unusable files, missing consent, no token, an API that cannot be reached or does
    not accept the credentials, and source addresses that this machine does not have.
    """
    scenario = catalogue.read(catalogue.find(scenario_name))
    operation_table.check(scenario)
    deployment = netns.open_deployment(deployment_file)
    if not deployment.consent.level.allows(Consent.LOAD):
        raise InputError(
            f"{deployment_file}: consent.level",
            f"{deployment.consent.level.value!r} does not allow a load",
            "valid: 'load' or 'invasive', by the deployment's owner",
        )
    SourceAddresses(deployment.clients.sources).check()
    tenants.check(deployment, scenario)
    token = Token(deployment)
    tenants.check_owner(deployment, scenario, token)
    tagged = operation_table.tagged(scenario)
    fronts = {
        name: _front(deployment, name, token, tagged) for name in ("rest", "cfn") if scenario.load(name)
    }
    for api in operation_table.apis(scenario) - fronts.keys():
        target(deployment, api)
    given = scenario.timeouts
    timeouts = RequestTimeouts(given.connect_s, given.first_byte_s, given.whole_s)
    cleaner = Cleaner.of(deployment, token)
    return LoadSession(deployment, scenario, timeouts, token, fronts, cleaner, tagged)


def warn_of_delegation(session: LoadSession) -> None:
    """Log that TLS is not verified, and what Heat cannot do, as a stack's owner delegates to it."""
    login = session.token.login
    if tls := session.deployment.tls.warning or login.tls_warning:
        log.warning("%s", tls)
    if session.token.restricted:
        log.warning("%s is restricted: %s", login.who, UNRESTRICTED)
    rest = session.scenario.load("rest")
    deferred = [template.name for template in rest.templates if template.deferred] if rest else []
    if deferred and not session.token.deferred_headers:
        log.warning(
            "%s has no password for Heat to keep: stacks of %s need deferred_auth_method = trusts",
            login.who,
            ", ".join(deferred),
        )


def _front(deployment: Deployment, name: str, token: Token, tagged: bool) -> ApiUnderLoad:
    to, sources = target(deployment, name)
    described = deployment.api(name)
    assert described is not None
    if described.parts.scheme == "https":
        tls_front.check(f"{deployment.path}: {name}.url", described.url, described.front, deployment.tls)
    api: StackApi = (
        RestApi(described, to, token, tagged)
        if name == "rest"
        else CfnApi(described, to, cfn_signer(deployment))
    )
    _check_answer(described, api, Client(to, sources.of_user(0), TIMEOUTS))
    return ApiUnderLoad(api, to, sources)


def _check_answer(described: Api, api: StackApi, client: Client) -> None:
    """Raise InputError unless the API answers a list of stacks with 200."""
    answer = client.send(api.list())
    client.close()
    where = f"{api.name}.url {described.url}"
    if answer.error == "connect":
        raise InputError(where, f"cannot be reached ({_reason(answer)})", "is the proxy up?")
    if answer.error:
        raise InputError(
            where, f"accepts the connection but does not answer ({answer.error}: {_reason(answer)})"
        )
    if answer.status in (401, 403):
        raise InputError(where, f"refuses the credentials ({answer.status})", "check [identity]")
    if answer.status != 200:
        cfn = api.name == "cfn"
        advice = "check identity.ec2_access and ec2_secret, and the service's log" if cfn else ""
        raise InputError(where, f"answers a list of stacks with {answer.status}", advice)


def _reason(answer: Answer) -> str:
    """`[Errno 111] Connection refused` without its number."""
    return answer.detail.partition("] ")[2] or answer.detail
