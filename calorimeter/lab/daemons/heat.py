"""The APIs and engines of Heat, each with its own heat.conf, started as in the guide."""

from __future__ import annotations

import configparser
import os
from functools import partial
from pathlib import Path

from calorimeter.config.heat import heat_conf_writer
from calorimeter.core import files
from calorimeter.core.bounds import is_digits
from calorimeter.lab import lab_profile, tls_options
from calorimeter.lab.daemons import (
    api_servers,
    bootstrap_accounts,
    broker_queries,
    health_check,
    mariadb,
    messaging,
    rabbitmq,
    readiness,
)
from calorimeter.lab.daemons.daemon import Daemon
from calorimeter.lab.lab_state import REGION, Lab, write_private

READY_S = 90.0

ASK_S = 0.25
"""Time between two questions to the broker for an engine's consumers, which delay its start."""


def kind(part: str) -> str:
    """The kind of a part, from its name: `rest`, `cfn` or `engine`."""
    return part.partition("-")[0]


def prepare(lab: Lab, part: str) -> None:
    """Write the part's heat.conf, which engines of one host share."""
    path = shared_file(lab, part)
    files.make_folder(path.parent)
    write_private(path, heat_conf_writer.render(conf(lab, part)))
    health_check.install(lab)
    if kind(part) != "engine":
        api_servers.prepare(lab, part, kind(part), path)


def file(lab: Lab, part: str) -> Path:
    """Path of the part's heat.conf: its own if there is one (a sabotage), else that of its host."""
    own = own_file(lab, part)
    return own if own.exists() else shared_file(lab, part)


def own_file(lab: Lab, part: str) -> Path:
    """Path of a heat.conf for this part alone."""
    return lab.folder / "heat" / f"{part}.conf"


def shared_file(lab: Lab, part: str) -> Path:
    """Path of the heat.conf of the part's host."""
    return lab.folder / "heat" / f"{lab.topology.host_name(part)}.conf"


def conf(lab: Lab, part: str) -> heat_conf_writer.Sections:
    """The part's heat.conf: the guide's file with the part's own port and host name."""
    bind = {name: (lab.host(part), lab.port(part)) for name in ("rest", "cfn") if name == kind(part)}
    host = heat_conf_writer.HeatHost(
        host=lab.topology.host_name(part),
        transport=rabbitmq.transport(lab, lab.topology.vhost_of(part)),
        database=mariadb.url(lab, "heat"),
        auth_encryption_key=lab.secrets["auth_encryption_key"],
        identity=heat_conf_writer.KeystoneAccess(
            lab.url("keystone"), "heat", lab.secrets["heat"], region=REGION
        ),
        stack_domain=heat_conf_writer.StackDomain(
            bootstrap_accounts.STACK_DOMAIN,
            bootstrap_accounts.STACK_DOMAIN_ADMIN,
            lab.secrets["stack_domain"],
        ),
        memcached=lab.address("memcached"),
        cfn_url=lab.url("cfn"),
        rest_bind=bind.get("rest"),
        cfn_bind=bind.get("cfn"),
        engine_workers=lab.topology.workers if kind(part) == "engine" else None,
        quorum_queues=lab.topology.messaging in ("quorum", "recommended"),
        rpc_response_timeout_s=lab.topology.rpc_timeout_s,
    )
    sections = heat_conf_writer.sections(host)
    own = lab_profile.heat_options(lab.topology.profile, "engine" if kind(part) == "engine" else "api")
    lab_own = (_lab_options(lab, part), _threads(lab, part), health_check.sections(lab, part))
    for more in (own, *lab_own, messaging.sections(lab, part), tls_options.heat(lab)):
        sections = heat_conf_writer.changed(sections, more)
    return sections


def _threads(lab: Lab, part: str) -> heat_conf_writer.Sections:
    """The requested size of an engine's thread pool."""
    threads = lab.topology.engine_threads
    return {"DEFAULT": {"executor_thread_pool_size": threads}} if threads and kind(part) == "engine" else {}


def _lab_options(lab: Lab, part: str) -> heat_conf_writer.Sections:
    """Options that a lab needs: file paths in Heat's environment, and limits that a load test exceeds."""
    etc = lab.programs.environment(lab.topology.release(part)) / "etc" / "heat"
    return {
        "DEFAULT": {
            "environment_dir": str(etc / "environment.d"),
            "template_dir": str(etc / "templates"),
            "max_stacks_per_tenant": 1_000_000,
            "enable_stack_abandon": True,
            "enable_stack_adopt": True,
        },
        "paste_deploy": {"api_paste_config": str(etc / "api-paste.ini")},
    }


def workers(lab: Lab, part: str) -> int:
    """num_engine_workers in an engine's heat.conf; the lab's number if that is absent or invalid."""
    conf = configparser.RawConfigParser(strict=False)
    conf.read(file(lab, part), encoding="utf-8")
    written = conf.defaults().get("num_engine_workers", "")
    return int(written) if is_digits(written) else lab.topology.workers


def group(lab: Lab, part: str) -> int | None:
    """The group id that identifies an API's packets, unique among all labs; None without root."""
    return 100_000 + lab.port(part) if os.geteuid() == 0 and kind(part) in ("rest", "cfn") else None


def daemon(lab: Lab, part: str) -> Daemon:
    """The daemon of a Heat part."""
    if kind(part) == "engine":
        program = lab.programs.heat("heat-engine", lab.topology.release(part))
        argv: tuple[str, ...] = (program, f"--config-file={file(lab, part)}")
        serves = lambda: broker_queries.consumers_of(lab, part) == workers(lab, part)  # noqa: E731
        return Daemon(
            part, argv, serves, READY_S, environment=messaging.environment(lab, part), every_s=ASK_S
        )
    argv = api_servers.command(lab, part, kind(part), file(lab, part))
    ready = partial(readiness.answers, f"{lab.url(part)}/healthcheck", verify=lab.verify)
    return Daemon(
        part, argv, ready, READY_S, environment=health_check.environment(lab), group=group(lab, part)
    )
