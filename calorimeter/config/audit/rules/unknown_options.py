"""A10: options and groups that no release of Heat knows, and values that oslo.config refuses."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.judged_options import is_default, judged, listed, settings
from calorimeter.config.audit.model import Change, Finding, LinePlace, Quote, Rule, Severity, rule
from calorimeter.config.audit.patches.changes import at, at_group
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat import known_options, option_values
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.config.heat.known_options import OptionName, Reading
from calorimeter.config.heat.replaced_options import REPLACED, moved

_VALIDATOR = Quote(
    "If there are any options set that are not defined in the project then it returns those errors.",
    "oslo.config, help of its validator; the programs themselves ignore such options",
)


@rule(
    "A10-release-not-judged",
    Severity.NOTE,
    remedy="compare the file with Heat's own sample",
    quote=_VALIDATOR,
)
def release_not_judged(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The table of options goes back to the release of Heat."""
    oldest, newest = known_options.releases()
    if subject.heat and not judged(subject):
        yield rule.finding(
            LinePlace(subject.heat[0].file, 1),
            "",
            f"Heat {subject.inputs.heat_release} is older than the table of options, "
            f"which holds Heat {oldest} to {newest}",
            "no rule A10 about options judges these Heat files",
        )


@rule(
    "A10-default-group",
    Severity.ERROR,
    remedy="write [DEFAULT]",
    quote=Quote(
        "if group_name == 'DEFAULT':",
        "oslo.config, cfg.py: the only group whose name is not made lower case",
    ),
)
def default_group(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The group of the general options is written in capitals."""
    for conf in subject.heat:
        for file in conf.options.files:
            for number, line in enumerate(file.lines, start=1):
                header = line.rstrip()
                name = header[1:-1]
                if header.startswith("[") and header.endswith("]") and is_default(name):
                    yield rule.finding(
                        LinePlace(file.name, number),
                        conf.host,
                        f"[{name}] is not [DEFAULT]",
                        "Heat ignores every option in it",
                        _capitals(conf, file.name, number),
                    )


def _capitals(conf: HeatProcessConf, file: str, number: int) -> list[Change]:
    """The right header; none if an option would then replace one that is in force."""
    ignored = {key for group, key in conf.options.found if is_default(group)}
    if any(("DEFAULT", key) in conf.options.found for key in ignored):
        return []
    return [Change(file, number, 1, ("[DEFAULT]",))]


@rule("A10-group-unknown", Severity.WARNING, remedy="correct its name, or remove it", quote=_VALIDATOR)
def group_unknown(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Heat or one of its libraries has options in every group."""
    for conf in subject.heat if judged(subject) else ():
        own = _auth_sections(conf)
        for group in dict.fromkeys(group for group, _ in conf.options.found):
            if group in own or is_default(group) or known_options.known_group(group):
                continue
            near = known_options.near_group(group, subject.inputs.heat_release)
            says = f"neither Heat nor its libraries have options in [{group}]"
            yield rule.finding(
                at_group(conf, group),
                conf.host,
                f"{says}; they have some in [{near}]" if near else says,
                "Heat ignores every option in it" + ("" if near else ", unless a plugin reads it"),
                severity=None if near else Severity.NOTE,
            )


def _auth_sections(conf: HeatProcessConf) -> set[str]:
    """The groups that the option auth_section names."""
    values = (conf.get(key, group) for group, key in conf.options.found if key == "auth_section")
    return {value.text.strip() for value in values if value}


@rule(
    "A10-option-unknown",
    Severity.WARNING,
    remedy="correct its name or its group, or remove it",
    quote=_VALIDATOR,
)
def option_unknown(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Heat or one of its libraries knows every option."""
    release = subject.inputs.heat_release
    for setting in settings(subject, Reading.UNKNOWN):
        group, key = setting.entry.group, setting.entry.key
        if setting.name in REPLACED or moved(group, key):
            continue
        says = f"neither Heat nor its libraries have an option {key} in [{group}]"
        meant: OptionName | None = None
        if near := known_options.near_key(group, key, release):
            says += f"; they have {near}"
            meant = OptionName(group, near)
        elif groups := known_options.elsewhere(group, key, release):
            says += f"; they have one in {_groups(groups)}"
            meant = OptionName(groups[0], key) if len(groups) == 1 else None
        serious = meant is not None and not setting.sets(meant)
        yield rule.finding(
            at(setting.entry),
            setting.conf.host,
            says,
            "the value has no effect",
            severity=None if serious else Severity.NOTE,
        )


def _groups(groups: tuple[str, ...]) -> str:
    if len(groups) > 3:
        return f"[{groups[0]}] and {len(groups) - 1} other groups"
    return listed(tuple(f"[{group}]" for group in groups))


@rule(
    "A10-value-refused",
    Severity.ERROR,
    remedy="correct the value",
    quote=Quote("is not valid:", "oslo.config, message of ConfigFileValueError"),
)
def value_refused(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """oslo.config accepts every value."""
    for setting in settings(subject, Reading.READ, Reading.ENDING, Reading.DROPPED):
        text = setting.value.text
        fault = None if "$" in text else option_values.fault(setting.found.kinds, text)
        if fault:
            yield rule.finding(
                at(setting.entry),
                setting.conf.host,
                f"{setting.entry.key} in [{setting.entry.group}] is {fault}",
                "oslo.config refuses the value: a process that reads it ends, most of them when they start",
            )


@rule(
    "A10-dollar-sign",
    Severity.ERROR,
    remedy="write $$ for a dollar sign that is part of the value, or set the option that it names",
    quote=Quote("Raised if an opt which doesn't exist is referenced.", "oslo.config, NoSuchOptError"),
)
def dollar_sign(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every `$NAME` in a value names an option."""
    for setting in settings(subject, Reading.READ, Reading.RENAMED, Reading.ENDING):
        entry = setting.entry
        if entry.key == "transport_url" or all(
            known_options.known(name, entry.group) for name in setting.value.unresolved
        ):
            continue  # a transport_url that cannot be read has a rule of its own
        yield rule.finding(
            at(entry),
            setting.conf.host,
            f"{entry.key} in [{entry.group}] has a $ before a word that is the name of no option",
            "oslo.config looks for an option of that name and finds none: a process that reads the value "
            "ends, most of them when they start",
        )
