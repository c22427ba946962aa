"""The settings of Heat files with what their release of Heat makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat import known_options
from calorimeter.config.heat.heat_conf import OLD_BROKER_OPTIONS, HeatProcessConf
from calorimeter.config.heat.known_options import LookedUp, OptionName, Reading
from calorimeter.config.heat.oslo import Assignment, OptionValue

OLD_DATABASE_OPTIONS = {
    "sql_connection": "connection",
    "sql_idle_timeout": "connection_recycle_time",
    "sql_min_pool_size": None,
    "sql_max_pool_size": "max_pool_size",
    "sql_max_retries": "max_retries",
    "sql_retry_interval": "retry_interval",
    "sql_max_overflow": "max_overflow",
    "sql_connection_debug": "connection_debug",
    "sql_connection_trace": "connection_trace",
    "db_backend": None,
}
"""Old option of [DEFAULT] → its name in [database] today; None if nothing replaces it."""


@dataclass(frozen=True, slots=True)
class JudgedSetting:
    """A setting in force of a Heat file."""

    conf: HeatProcessConf
    value: OptionValue
    found: LookedUp

    @property
    def entry(self) -> Assignment:
        """Its assignment."""
        return self.value.entry

    @property
    def name(self) -> OptionName:
        """Its group and key."""
        return OptionName(self.entry.group, self.entry.key)

    @property
    def alone(self) -> bool:
        """Whether no other line of the files sets it, too."""
        return len(self.conf.options.found[(self.entry.group, self.entry.key)]) == 1

    def sets(self, name: OptionName) -> bool:
        """Whether the same files set another option."""
        return self.conf.get(name.key, name.group) is not None


def judged(subject: AuditedFiles) -> bool:
    """Whether the table of options goes back to the release of the files."""
    release = subject.inputs.heat_release
    return release is None or release >= known_options.releases()[0]


def settings(subject: AuditedFiles, *readings: Reading) -> Iterator[JudgedSetting]:
    """The settings in force that the release of the files reads in one of these ways, of known groups.

    A setting that a later line or file replaces is none of them. Old options of the broker and the database
    have rules of their own.
    """
    if not judged(subject):
        return
    for conf, value, found in subject.looked_up:
        group, key = value.entry.group, value.entry.key
        if found.reading not in readings or is_default(group) or not known_options.known_group(group):
            continue
        if not _has_rule(group, key, found.reading):
            yield JudgedSetting(conf, value, found)


def reads(subject: AuditedFiles, key: str, group: str = "DEFAULT") -> bool:
    """Whether the release of the files reads this option, under its own name or as an old one."""
    return known_options.look_up(group, key, subject.inputs.heat_release).reading in (
        Reading.READ,
        Reading.RENAMED,
        Reading.ENDING,
    )


def _has_rule(group: str, key: str, reading: Reading) -> bool:
    if reading not in (Reading.GONE, Reading.DROPPED, Reading.UNKNOWN):
        return False
    if key in OLD_BROKER_OPTIONS:
        return group in ("DEFAULT", "oslo_messaging_rabbit")
    return group == "DEFAULT" and key in OLD_DATABASE_OPTIONS


def is_default(group: str) -> bool:
    """Whether a group is meant to be [DEFAULT], but is not."""
    return group != "DEFAULT" and group.strip().lower() == "default"


def release_name(subject: AuditedFiles) -> str:
    """`Heat 27`, or `Heat` if the release is not known."""
    release = subject.inputs.heat_release
    return "Heat" if release is None else f"Heat {release}"


def listed(words: tuple[str, ...]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)
