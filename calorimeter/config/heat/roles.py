"""What a Heat process is (its roles): by its owner's word, by its files, by the others on its machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from calorimeter.config.heat.heat_conf import EVERY_ROLE, GROUPS, HeatProcessConf
from calorimeter.core.deployment import HeatRole

Roles = frozenset[HeatRole]

_PROGRAMS: dict[str, Roles] = {
    "heat_api_cloudwatch": frozenset(),
    "heat_cloudwatch": frozenset(),
    "heat_api_cfn": frozenset({"cfn"}),
    "heat_cfn_api": frozenset({"cfn"}),
    "heat_cfn": frozenset({"cfn"}),
    "heat_api": frozenset({"rest"}),
    "heat_rest": frozenset({"rest"}),
    "heat_engine": frozenset({"engine"}),
}
"""Name of a program, longer names first → its roles; the CloudWatch API of old releases has none."""

_IN_FILE = re.compile(rf"(?<![a-z0-9])({'|'.join(_PROGRAMS)})(?![a-z0-9])")
_FOLDER = re.compile(rf"(?:openstack_)?({'|'.join(_PROGRAMS)})(?:_[0-9]+)?")


def with_roles(
    confs: Sequence[HeatProcessConf], said: Sequence[Roles | None]
) -> tuple[HeatProcessConf, ...]:
    """The processes with their roles; `said` has those that the owner names.

    Without the owner's word the name of a program decides (`heat-engine.conf`, the folder `heat_api_cfn`,
    `log_file`). A process that shares its machine with processes of known roles has the roles that those
    lack (TripleO's folders: `heat_api`, `heat_api_cfn`, and `heat`, which is the engine). Any other process
    has every role, as in the guide, whose machines have one file for all.
    """
    known = [_of_program(conf) if roles is None else roles for conf, roles in zip(confs, said, strict=True)]
    hosts = [conf.host for conf in confs]
    for index, conf in enumerate(confs):
        if known[index] is None and hosts.count(conf.host) > 1:
            known[index] = _of_api_group(conf)
    claimed: dict[str, Roles] = {}
    for host, roles in zip(hosts, known, strict=True):
        claimed[host] = claimed.get(host, frozenset()) | (roles or frozenset())
    return tuple(
        replace(conf, roles=(EVERY_ROLE - claimed[conf.host]) or EVERY_ROLE if roles is None else roles)
        for conf, roles in zip(confs, known, strict=True)
    )


def _of_program(conf: HeatProcessConf) -> Roles | None:
    """The roles of the programs that file names, folders or `log_file` name; None if they name none."""
    found = [roles for file in conf.options.files if (roles := _of_path(file.name)) is not None]
    log = conf.get("log_file")
    if not found and log:
        found = _of_file_name(log.text)
    return frozenset(chain(*found)) if found else None


def _of_path(path: str) -> Roles | None:
    """The roles that a path names; of its parts the last one that names a program counts."""
    *folders, _ = (part.lower().replace("-", "_") for part in path.split("/"))
    found = _of_file_name(path)
    for folder in reversed(folders):
        match = None if found else _FOLDER.fullmatch(folder)
        found = [_PROGRAMS[match[1]]] if match else found
    return frozenset(chain(*found)) if found else None


def _of_file_name(path: str) -> list[Roles]:
    name = re.sub(r"[-.]", "_", path.rpartition("/")[2].lower())
    return [_PROGRAMS[match[1]] for match in _IN_FILE.finditer(name)]


def _of_api_group(conf: HeatProcessConf) -> Roles | None:
    """The role of the only API whose group has options."""
    apis: list[HeatRole] = ["rest", "cfn"]
    found = [api for api in apis if any(conf.options.starting("", group=GROUPS[api]))]
    return frozenset(found) if len(found) == 1 else None
