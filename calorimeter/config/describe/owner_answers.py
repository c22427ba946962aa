"""What a deployment.toml needs beyond the configuration files: the owner's answers, and missing ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.control.control_table import Driver
from calorimeter.core.deployment import Consent


@dataclass(frozen=True, slots=True)
class Answers:
    """The owner's answers; what is None is taken from the files, or is missing."""

    name: str = "heat"
    rest_url: str | None = None
    cfn_url: str | None = None
    stats: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    keepalived: tuple[str, ...] = ()
    management_urls: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    engine_workers: int | None = None
    cloud: str | None = None
    clouds_file: Path | None = None
    cloud_problem: str | None = None
    """Why the cloud cannot be read here; None if it can."""
    cloud_auth_url: str | None = None
    """Keystone's URL in the cloud's entry."""
    max_detection_s: float | None = None
    max_recovery_s: float | None = None
    max_failover_s: float | None = None
    auth_url: str | None = None
    username: str | None = None
    password_env: str = "OS_PASSWORD"  # noqa: S105 - the name of a variable
    project: str | None = None
    user_domain: str = "Default"
    project_domain: str = "Default"
    region: str | None = None
    ca_file: Path | None = None
    verify: bool = True
    consent: Consent = Consent.PASSIVE
    driver: Driver | None = None
    """What starts and stops the parts."""
    ssh: str | None = None
    """The ssh destination of a host, with `{host}`."""

    @property
    def urls(self) -> dict[str, str | None]:
        """API → its front URL."""
        return {"rest": self.rest_url, "cfn": self.cfn_url}

    @property
    def keystone_url(self) -> str | None:
        """Keystone's URL, as the user knows it."""
        return self.cloud_auth_url or self.auth_url


@dataclass(frozen=True, slots=True)
class Missing:
    """A missing answer: its key in deployment.toml, what it is, and the option that gives it."""

    key: str
    what: str
    option: str
