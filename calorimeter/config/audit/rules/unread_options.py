"""A10: options that Heat no longer reads, or will not read for long, and lines that oslo.config rejects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from calorimeter.config.audit.judged_options import JudgedSetting, listed, release_name, settings
from calorimeter.config.audit.model import Change, Finding, Quote, Rule, Severity, rule
from calorimeter.config.audit.patches.changes import at, remove_option, set_option
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.known_options import OptionName, Reading
from calorimeter.config.heat.replaced_options import REPLACED, Replacement, moved

_JUDGED_BY_A12 = ("deferred_auth_method", "enforce_scope")
_ENDING = Quote(
    "Its value may be silently ignored in the future.",
    "oslo.config, warning of an option that will be removed",
)


@rule(
    "A10-option-renamed",
    Severity.NOTE,
    remedy="use the new name",
    quote=Quote(
        'Option "%(dep_option)s" from group "%(dep_group)s" is deprecated.',
        "oslo.config, warning of an old name",
    ),
)
def option_renamed(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every option is set under its present name."""
    for setting in settings(subject, Reading.RENAMED):
        instead = setting.found.instead
        yield rule.finding(
            at(setting.entry),
            setting.conf.host,
            f"{setting.entry.key} in [{setting.entry.group}] is an old name of {listed(_names(instead))}",
            "a later release ignores it",
            _renamed(setting, instead),
        )


def _names(options: Iterable[OptionName], group: str = "") -> tuple[str, ...]:
    return tuple(option.key if option.group == group else str(option) for option in options)


def _renamed(setting: JudgedSetting, instead: tuple[OptionName, ...]) -> list[Change]:
    """Set the new option instead, if it alone replaces the old one; if both are set, remove the old one."""
    entry = setting.entry
    if len(instead) != 1 or not setting.alone:
        return []
    (new,) = instead
    if setting.sets(new):
        return [remove_option(entry)]
    if new.group == entry.group and entry.count == 1:
        return [Change(entry.file, entry.number, 1, (f"{new.key} = {entry.raw}",))]
    return [remove_option(entry), set_option(setting.conf, new.group, new.key, entry.raw)]


@rule("A10-option-ending", Severity.NOTE, remedy="plan to do without it", quote=_ENDING)
def option_ending(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Heat and its libraries mean to keep every option."""
    for setting in settings(subject, Reading.ENDING):
        entry = setting.entry
        if entry.key in _JUDGED_BY_A12:
            continue
        yield rule.finding(
            at(entry),
            setting.conf.host,
            f"{entry.key} in [{entry.group}] will be removed{_reason(setting, ': ', '')}",
            "a later release ignores it",
        )


def _reason(setting: JudgedSetting, before: str, after: str) -> str:
    """The first sentence of the library's own reason."""
    first = setting.found.removal.partition(". ")[0].rstrip(".")
    return f"{before}{first}{after}" if first else ""


@rule(
    "A10-option-gone",
    Severity.WARNING,
    remedy="remove it, or use the option that replaces it",
    quote=_ENDING,
)
def option_gone(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Heat reads every option that is set."""
    heat = release_name(subject)
    for setting in settings(subject, Reading.GONE, Reading.COMING, Reading.UNKNOWN):
        entry, found = setting.entry, setting.found
        known = REPLACED.get(setting.name)
        renamed = found.instead or moved(entry.group, entry.key)
        if found.reading is Reading.COMING:
            says = (
                f"{heat} does not read {entry.key} in [{entry.group}]; {found.first} is the first that does"
            )
            yield rule.finding(at(entry), setting.conf.host, says, "the value has no effect")
            continue
        if found.reading is Reading.UNKNOWN and not (known or renamed):
            continue
        instead = renamed or ((known.instead,) if known and known.instead else ())
        lost = bool(instead) and not any(setting.sets(option) for option in instead)
        yield rule.finding(
            at(entry),
            setting.conf.host,
            f"{heat} no longer reads {entry.key} in [{entry.group}]{_today(setting, known, renamed)}",
            "the value has no effect",
            _renamed(setting, renamed) if renamed else _removed(setting, known),
            severity=None if lost else Severity.NOTE,
        )


def _today(setting: JudgedSetting, known: Replacement | None, renamed: tuple[OptionName, ...]) -> str:
    if known:
        return f": {known.why}"
    last = f"; {setting.found.last} was the last that did" if setting.found.last else ""
    if renamed:
        return f"; it reads {listed(_names(renamed, setting.entry.group))}{last}"
    return _reason(setting, " (", ")") + last


def _removed(setting: JudgedSetting, known: Replacement | None) -> list[Change]:
    if known is None or not (known.moot or (known.instead and setting.sets(known.instead))):
        return []
    return [remove_option(setting.entry)]


@rule(
    "A10-option-dropped",
    Severity.NOTE,
    remedy="use the option that replaces it before the library is updated, or remove it",
    quote=_ENDING,
)
def option_dropped(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The newest libraries read every option, too."""
    together: dict[tuple[str, str, str, str], list[JudgedSetting]] = {}
    for setting in settings(subject, Reading.DROPPED):
        # A file whose Heat is not named may well be of one that still has Heat's own option.
        said = not setting.found.own or subject.inputs.heat_release is not None
        if said and setting.entry.key not in _JUDGED_BY_A12:
            place = (setting.conf.host, setting.entry.file, setting.entry.group, setting.found.first)
            together.setdefault(place, []).append(setting)
    for (host, _, group, first), members in together.items():
        yield rule.finding(
            at(members[0].entry),
            host,
            f"{first} no longer reads {', '.join(map(_with_successor, members))} in [{group}]; "
            f"{members[0].found.last} still does",
            f"with {first} the value has no effect",
            [change for each in members for change in _renamed(each, each.found.instead)],
        )


def _with_successor(setting: JudgedSetting) -> str:
    known = REPLACED.get(setting.name)
    names = _names(setting.found.instead, setting.entry.group)
    why = f"use {listed(names)}" if names else known.why if known else ""
    return f"{setting.entry.key} ({why})" if why else setting.entry.key


@rule(
    "A10-line-unreadable",
    Severity.ERROR,
    remedy="make it `key = value` or a comment, or remove it",
    quote=Quote("No ':' or '=' found in assignment", "oslo.config, message of its reader"),
)
def line_unreadable(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """oslo.config can read every line."""
    for conf in subject.heat:
        for line in conf.options.unreadable:
            yield rule.finding(
                at(line),
                conf.host,
                f"the line {line.why}",
                "oslo.config rejects the file: no process with this file starts",
            )
