"""How the suite logs in at Keystone: one record for every way to describe an identity."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from calorimeter.core.deployment import UNVERIFIED, Deployment
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.foreign import UnintelligibleError, member
from calorimeter.core.login import clouds
from calorimeter.core.login.identities import WAYS, Identity, is_secret
from calorimeter.core.login.keystone_session import keystone_session

if TYPE_CHECKING:
    from keystoneauth1.access import AccessInfo
    from keystoneauth1.identity.base import BaseIdentityPlugin
    from keystoneauth1.session import Session

T = TypeVar("T")

ONCE = frozenset({"token", "v3token", "v3totp", "v3oidcauthcode"})
"""Kinds of identity that get no new token when the first one has expired."""

_LASTING = ("password", "application_credential_secret", "client_secret", "oauth2_client_secret")
"""Options that hold a secret which stays the same."""

UNRESTRICTED = (
    "Heat creates a trust for each stack (deferred_auth_method = trusts), which Keystone refuses to it; "
    "make one with `openstack application credential create --unrestricted`"
)


@dataclass(frozen=True, slots=True)
class Login:
    """An account at Keystone, ready to be used; secrets are in `options` and `plugin` only.

    `where` begins error messages, `who` names the account in them, `remedy` says what to check.
    """

    where: str
    who: str
    remedy: str
    auth_type: str
    options: Mapping[str, str] = field(repr=False)
    plugin: BaseIdentityPlugin = field(repr=False)
    verify: bool | str = True
    certificate: str | tuple[str, str] | None = None
    region: str | None = None
    interface: str = "public"

    @property
    def tls_warning(self) -> str:
        """The sentence for users if Keystone's certificate is not verified; else empty."""
        return "" if self.verify else UNVERIFIED.format(who="Keystone", key="insecure, or verify: false")

    @property
    def auth_url(self) -> str:
        """Keystone's URL."""
        return self.options.get("auth_url", "")

    @property
    def api(self) -> str:
        """The URL of Keystone's v3 API."""
        return _versioned(self.auth_url)

    @property
    def kind(self) -> str:
        """The kind of identity, in words."""
        if self.auth_type in ("password", "v3password"):
            return "password"
        return "application credential" if "applicationcredential" in self.auth_type else self.auth_type

    @property
    def renewable(self) -> bool:
        """Whether Keystone gives a new token when the first one has expired."""
        return self.auth_type not in ONCE

    @property
    def password_of_user(self) -> tuple[str, str] | None:
        """User name and password, if the account is one with a password at Keystone itself."""
        user, password = self.options.get("username"), self.options.get("password")
        return (user, password) if self.kind == "password" and user and password else None

    @property
    def lasting_secret(self) -> str | None:
        """A secret that is the same for every token; None if the account has none."""
        return next((self.options[name] for name in _LASTING if self.options.get(name)), None)

    @property
    def environment(self) -> dict[str, str]:
        """The variables `OS_*` of this account, as OpenStack's own programs read them."""
        variables = {f"OS_{name.upper()}": value for name, value in self.options.items()}
        variables |= {"OS_AUTH_TYPE": self.auth_type, "OS_IDENTITY_API_VERSION": "3"}
        if self.region:
            variables["OS_REGION_NAME"] = self.region
        if self.interface != "public":
            variables["OS_INTERFACE"] = self.interface
        if isinstance(self.verify, str):
            variables["OS_CACERT"] = self.verify
        elif not self.verify:
            variables["OS_INSECURE"] = "true"
        if isinstance(self.certificate, tuple):
            variables["OS_CERT"], variables["OS_KEY"] = self.certificate
        elif self.certificate:
            variables["OS_CERT"] = self.certificate
        return variables

    def session(self, deployment: Deployment, timeout_s: float, *, with_token: bool = False) -> Session:
        """A session with Keystone; `with_token`: its requests carry this account's token."""
        # An identity provider has a URL of its own, which the owner gave.
        others = [value for value in self.options.values() if value.startswith(("http://", "https://"))]
        auth = self.plugin if with_token else None
        urls = [self.auth_url, *others]
        made = keystone_session(deployment, self.where, urls, timeout_s, auth, verify=self.verify)
        made.cert = self.certificate
        return made

    def asked(self, ask: Callable[[], T]) -> T:
        """The result of `ask`, which asks Keystone and reads its answer with keystoneauth.

        Raises InputError if Keystone refuses or cannot be reached, and for an answer of any other form.
        """
        try:
            return ask()
        except InputError:
            raise
        except Exception as problem:  # the parser of a library, and any answer at all
            raise self.refusal(problem) from None

    def refusal(self, problem: Exception) -> InputError:
        """What is wrong, as one line, after keystoneauth raised `problem`. It never holds a secret."""
        from keystoneauth1 import exceptions

        match problem:
            case exceptions.Unauthorized() | exceptions.NotFound() if not self.renewable:
                # Keystone does not find a token that has expired or was revoked: 404.
                status = problem.http_status
                given = f"Keystone refuses {self.who} ({status}): it may have expired"
                valid = "valid: a new one, and Keystone's URL with /v3"
            case exceptions.Unauthorized():
                given, valid = f"Keystone refuses {self.who} (401)", self.remedy
            case exceptions.Forbidden():
                given, valid = f"Keystone forbids {self.who} to log in (403)", self.remedy
            case exceptions.ConnectFailure() | exceptions.DiscoveryFailure():
                given, valid = f"Keystone cannot be reached at {self.auth_url}", ""
            case exceptions.NotFound():
                given, valid = (
                    f"{self.auth_url} is not a Keystone with the v3 API",
                    "valid: its URL with /v3",
                )
            case exceptions.ClientException():
                given, valid = f"Keystone gives no token at {self.auth_url} ({self._reason(problem)})", ""
            case _:
                kind = type(problem).__name__
                given = f"what answers at {self.auth_url} cannot be read as a token of Keystone's ({kind})"
                valid = "valid: Keystone's URL with /v3"
        return InputError(self.where, given, valid)

    def _reason(self, problem: Exception) -> str:
        """keystoneauth's message, or the kind of the error if the message could hold a secret or a URL."""
        text = str(problem).partition(" (HTTP")[0].partition("\n")[0]
        hidden = any(value in text for name, value in self.options.items() if is_secret(name))
        return type(problem).__name__ if hidden or not text or "://" in text else text

    def needs_project(self) -> InputError:
        """The error for a token without a project, which no call to Heat's REST API can use."""
        return InputError(
            self.where,
            f"{self.who} has no project (system or domain scope), and every URL of Heat's REST API has one",
            "valid: an identity with a project",
        )


def of(deployment: Deployment, identity: Identity | None = None) -> Login:
    """How `identity` (default: the deployment's own) logs in.

    Raises InputError if the deployment has none, a secret cannot be read, or its cloud cannot be found.
    """
    who = identity or deployment.identity
    if who is None:
        raise InputError(str(deployment.path), "[identity] is missing", WAYS)
    where = f"{deployment.path}: {_place(deployment, who)}"
    if who.cloud is not None:
        return _of_cloud(deployment, who, who.cloud, where)
    if who.auth_type is not None:
        return _of_plugin(deployment, who, who.auth_type, where)
    assert who.username is not None and who.password is not None and who.project is not None
    options = {
        "auth_url": _versioned(str(who.auth_url)),
        "username": who.username,
        "password": deployment.reveal(who.password),
        "project_name": who.project,
        "user_domain_name": who.user_domain,
        "project_domain_name": who.project_domain,
    }
    login = _with_password(options, where)
    return replace(
        login, verify=deployment.tls.for_requests, region=who.region, interface=who.interface or "public"
    )


def _place(deployment: Deployment, who: Identity) -> str:
    if who != deployment.identity and who in deployment.tenants:
        return f"tenants[{deployment.tenants.index(who) + 1}]"
    return "identity"


def of_tenant(owner: Login, name: str, domain_id: str, password: str) -> Login:
    """How the user and project called `name`, which a run created with the rights of `owner`, log in."""
    options = {
        "auth_url": owner.api,
        "username": name,
        "password": password,
        "project_name": name,
        "user_domain_id": domain_id,
        "project_domain_id": domain_id,
    }
    return replace(
        _with_password(options, owner.where),
        verify=owner.verify,
        certificate=owner.certificate,
        region=owner.region,
        interface=owner.interface,
    )


def _with_password(options: dict[str, str], where: str) -> Login:
    from keystoneauth1.identity import v3

    return Login(
        where=where,
        who=f"user {options['username']!r} in project {options['project_name']!r}",
        remedy="valid: the user's password, domain and project",
        auth_type="v3password",
        options=options,
        plugin=v3.Password(**cast("Any", options)),
    )


def _of_plugin(deployment: Deployment, who: Identity, auth_type: str, where: str) -> Login:
    from keystoneauth1 import exceptions, loading

    _check_plugin(auth_type, who.auth, where)
    url = str(who.auth_url)
    options = {"auth_url": _versioned(url) if auth_type.startswith("v3") else url}
    for name, value in who.auth.items():
        options[name] = value if isinstance(value, str) else deployment.reveal(value)
    given: dict[str, Any] = dict(options)
    if "auth_methods" in given:
        given["auth_methods"] = [method.strip() for method in given["auth_methods"].split(",")]
    try:
        plugin: BaseIdentityPlugin = loading.get_plugin_loader(auth_type).load_from_options(**given)
    except (exceptions.ClientException, TypeError, ValueError) as problem:
        given_text = str(problem).partition("\n")[0]
        raise InputError(f"{where}.auth", f"{auth_type} cannot use its options: {given_text}") from None
    return Login(
        where=where,
        who=_named(auth_type, options),
        remedy="valid: the options of [identity.auth]",
        auth_type=auth_type,
        options=options,
        plugin=plugin,
        verify=deployment.tls.for_requests,
        region=who.region,
        interface=who.interface or "public",
    )


def _check_plugin(auth_type: str, auth: Mapping[str, object], where: str) -> None:
    """Check the options against those of keystoneauth's plugin. Raises InputError."""
    from keystoneauth1 import exceptions, loading

    # It logs an error for each plugin whose libraries are not installed.
    logging.getLogger("stevedore").setLevel(logging.CRITICAL)
    try:
        loader: loading.BaseLoader[Any] = loading.get_plugin_loader(auth_type)
    except exceptions.NoMatchingPlugin:
        names = loading.get_available_plugin_names()
        raise unknown(f"{where}.auth_type", "plugin", auth_type, names) from None
    options = {option.dest: option for option in loader.get_options()}
    if "auth_url" not in options or auth_type.startswith("v2"):
        raise InputError(f"{where}.auth_type", f"{auth_type!r} gets no token from Keystone's v3 API", WAYS)
    for name in auth:
        if name not in options and auth_type != "v3multifactor":  # its options depend on its methods
            raise unknown(f"{where}.auth", f"option of {auth_type}", name, options.keys() - {"auth_url"})
    for name, option in options.items():
        if option.required and name not in auth and name != "auth_url":
            raise InputError(f"{where}.auth.{name}", f"is missing, and {auth_type} needs it")


def _of_cloud(deployment: Deployment, who: Identity, name: str, where: str) -> Login:
    file = None if who.clouds_file is None else deployment.path.parent / who.clouds_file
    cloud = clouds.read(name, file, who.region, where)
    own_tls = "tls" in deployment.model_fields_set
    return Login(
        where=where,
        who=f"cloud {cloud.name!r} of {cloud.source}",
        remedy="valid: an entry with which `openstack --os-cloud NAME token issue` works",
        auth_type=cloud.auth_type,
        options=cloud.options,
        plugin=cloud.plugin,
        verify=deployment.tls.for_requests if own_tls else cloud.verify,
        certificate=cloud.certificate,
        region=who.region or cloud.region,
        interface=who.interface or cloud.interface or "public",
    )


def _named(auth_type: str, options: Mapping[str, str]) -> str:
    if "applicationcredential" in auth_type:
        name = options.get("application_credential_id") or options.get("application_credential_name")
        return f"application credential {name!r}"
    if auth_type in ("token", "v3token"):
        return "the token of [identity.auth]"
    user = options.get("username")
    return f"user {user!r} ({auth_type})" if user else f"the account of [identity] ({auth_type})"


def restricted(access: AccessInfo) -> bool:
    """Whether a token came from a restricted application credential, which can create no trusts."""
    try:
        return bool(member(getattr(access, "_data", {}), "token", "application_credential", "restricted"))
    except UnintelligibleError:
        return False


def _versioned(url: str) -> str:
    url = url.rstrip("/")
    return url if url.endswith("/v3") else f"{url}/v3"
