"""The suite's identity at Keystone, as a deployment file describes it in one of three ways.

How it logs in is in `calorimeter.core.login.keystone_login`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.toml import Model, Name
from calorimeter.core.urls import HttpUrl

ENVIRONMENT = "envvars"
"""openstacksdk's name for the cloud that the variables `OS_*` describe."""

WAYS = 'valid: cloud = "NAME"; or auth_url, username, password and project; or auth_url, auth_type and auth'

_SECRET = re.compile(r"(password|secret|token|passcode|code|otp_key)$")

_USER = ("username", "password", "project")
_DOMAINS = ("user_domain", "project_domain")


class Identity(Model):
    """The suite's account at Keystone, in one of three ways; the EC2 credentials sign CFN requests.

    `cloud` is a name in clouds.yaml (or in `clouds_file`, relative to the deployment file); `envvars`
    stands for the variables `OS_*`. Or `auth_url` with `username`, `password`, `project` and their domains.
    Or `auth_url` with `auth_type`, the name of a plugin of keystoneauth, and its options in `auth`.
    `region` and `interface` select Heat's endpoint in the catalog (default: the cloud's, `public`).
    """

    cloud: Name | None = None
    clouds_file: Path | None = None
    auth_url: HttpUrl | None = None
    username: str | None = None
    password: Secret | None = None
    project: str | None = None
    user_domain: str = "Default"
    project_domain: str = "Default"
    auth_type: Name | None = None
    auth: dict[str, str | Secret] = {}
    region: str | None = None
    interface: Literal["public", "internal", "admin"] | None = None
    ec2_access: str | None = None
    ec2_secret: Secret | None = None

    @model_validator(mode="before")
    @classmethod
    def _options_are_text(cls, given: Any) -> Any:
        """Refuse other types here: the error of a union would name its members and show the value."""
        auth = given.get("auth") if isinstance(given, dict) else None
        for name, value in auth.items() if isinstance(auth, dict) else ():
            is_reference = isinstance(value, dict) and set(value) in ({"env"}, {"file", "key"})
            if not is_reference and not isinstance(value, str | Secret):
                raise ValueError(
                    f'auth.{name} must be text, {{ env = "NAME" }} or {{ file = "PATH", key = "NAME" }}'
                )
        return given

    @model_validator(mode="after")
    def _one_way(self) -> Identity:
        given = self._given
        if self.cloud is not None:
            self._excludes("cloud", ("auth_url", *_USER, *_DOMAINS, "auth_type", "auth"))
            return self
        if "clouds_file" in given:
            raise ValueError('clouds_file is given without cloud; valid: cloud = "NAME"')
        if self.auth_type is not None:
            self._excludes("auth_type", (*_USER, *_DOMAINS))
            self._check_options()
        elif "auth" in given:
            raise ValueError(
                'auth is given without auth_type; valid: auth_type = "v3applicationcredential"'
            )
        needed = ("auth_url",) if self.auth_type is not None else ("auth_url", *_USER)
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{', '.join(missing)} missing; {WAYS}")
        return self

    @property
    def _given(self) -> frozenset[str]:
        """The fields that have another value than their default, in a file or in a copy of a record."""
        fields = type(self).model_fields
        return frozenset(name for name, field in fields.items() if getattr(self, name) != field.default)

    def _excludes(self, way: str, others: tuple[str, ...]) -> None:
        both = [name for name in others if name in self._given]
        if both:
            where = "its options belong to [identity.auth]" if way == "auth_type" else WAYS
            raise ValueError(f"{way} and {both[0]} are both given; {where}")

    def _check_options(self) -> None:
        if "auth_url" in self.auth:
            raise ValueError("auth.auth_url belongs to [identity], as auth_url")
        for name, value in self.auth.items():
            if isinstance(value, str) and is_secret(name):
                raise ValueError(
                    f"auth.{name} is a secret: name where it is, "
                    '{ env = "NAME" } or { file = "PATH", key = "NAME" }'
                )

    @property
    def described(self) -> str:
        """What a report says of it: the cloud's name, or Keystone's URL."""
        return f"cloud {self.cloud}" if self.cloud is not None else str(self.auth_url)


def is_secret(option: str) -> bool:
    """Whether an option of a plugin is secret; a test compares it with keystoneauth's own plugins."""
    return bool(_SECRET.search(option))
