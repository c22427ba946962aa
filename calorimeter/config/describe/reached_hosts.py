"""Describes `[control]`: the owner's driver, and the addresses of hosts that the Heat files name."""

from __future__ import annotations

from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.describe.engine_hosts import broker_name
from calorimeter.config.describe.gathered import Gathered
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.config.hosts import is_loopback
from calorimeter.core.control.control_table import Control
from calorimeter.core.deployment import Consent
from calorimeter.core.errors import InputError


def control(subject: AuditedFiles, answers: Answers, gathered: Gathered) -> Control | None:
    """The table, if the owner names a driver. Without one it is missing if parts may be broken.

    Raises InputError if `--ssh` is given without a driver.
    """
    if answers.driver is None:
        if answers.ssh is not None:
            raise InputError("--ssh", "is given without --control", "valid: --control systemd --ssh …")
        if answers.consent.allows(Consent.INVASIVE):
            gathered.lacks(
                "control",
                "what starts and stops the parts (systemd, podman or docker), and how hosts are reached",
                "--control DRIVER --ssh root@{host}",
            )
        return None
    if answers.ssh is None:
        return Control(driver=answers.driver)
    return Control(driver=answers.driver, ssh=answers.ssh, hosts=_addresses(subject))


def _addresses(subject: AuditedFiles) -> dict[str, str]:
    """The name of engines on the broker → an address at which an API of the same machine listens."""
    listening = {
        conf.host: listener.host
        for conf, _, listener in reversed(list(subject.api_listeners))
        if not listener.wildcard and not is_loopback(listener.host)
    }
    return {broker_name(conf): listening[conf.host] for conf in subject.engines if conf.host in listening}
