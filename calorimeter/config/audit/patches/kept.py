"""What a patch must keep: servers, addresses, names of processes, other sections, lines it does not touch.

Each function compares the files before and after a patch, and names what the patch would break. No rule is
known here: a patch of any rule has to pass.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from calorimeter.config.audit.patches.edited_text import Edit, lines_of
from calorimeter.config.audit.subject import AuditedFiles, Inputs
from calorimeter.config.haproxy import HAProxyLine, HAProxyServer, ProxySection
from calorimeter.config.heat.oslo import IniFile
from calorimeter.config.hosts import WILDCARDS, is_loopback

_NAMES = ("host", "hostname", "processname")
"""Options that name a Heat process to others: two processes must not get one name."""
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\])(?![\w.])")
_PATH = re.compile(r"(?:(?<=[\s=@'\",])|^)(?:/[\w.+-]+)+")
_FILE = re.compile(r"\.(?:pem|crt|key|sock|cfg|conf|http|lst|map)\b")
_REQUEST = re.compile(r"(?:\b(?:GET|HEAD|OPTIONS|POST|PUT)|\buri)\s+\S+")


@dataclass(frozen=True, slots=True)
class Patched:
    """The files before and after a patch, what it edited in each, and the names its findings speak of."""

    before: AuditedFiles
    after: AuditedFiles
    edits: Mapping[str, Edit]
    named: frozenset[str]


def broken(patched: Patched) -> str | None:
    """The first thing that the patch breaks; None if it keeps everything."""
    return next((reason for check in _CHECKS for reason in check(patched)), None)


def _more(before: Iterable[Hashable], after: Iterable[Hashable]) -> Iterator[Hashable]:
    """What there is more of after than before."""
    return iter(Counter(after) - Counter(before))


def _sections(patched: Patched) -> Iterator[str]:
    def headers(subject: AuditedFiles) -> list[tuple[str, str, str]]:
        return [
            (proxy.name, section.kind, section.name)
            for proxy in subject.proxies
            for section in proxy.configuration.tree.sections
        ]

    before, after = headers(patched.before), headers(patched.after)
    yield from (f"loses section {name}" for name in _more(after, before))
    yield from (f"doubles section {name}" for name in _more(before, after) if name in before)


_ServerPlace = tuple[str, str, str]


def _servers_of(subject: AuditedFiles) -> dict[_ServerPlace, list[HAProxyServer]]:
    return {
        (proxy.name, section.kind, section.name): list(section.servers)
        for proxy in subject.proxies
        for section in proxy.configuration.proxies
    }


def _servers(patched: Patched) -> Iterator[str]:
    known = {
        (listener.host, listener.port) for _, _, listener in patched.before.api_listeners if listener.value
    }
    listed = _listed(patched.before)
    before = _servers_of(patched.before)
    for place, servers in _servers_of(patched.after).items():
        old = before.pop(place, [])
        olds, news = [(s.name, s.text) for s in old], [(s.name, s.text) for s in servers]
        yield from (f"loses server {lost}" for lost in _more(news, olds))
        for server in servers:
            if (server.name, server.text) in olds:
                continue
            if (server.host, server.port) not in known or server.port not in {other.port for other in old}:
                yield f"adds server {server.name}, which is not an API of this section"
            if f"{server.host}:{server.port}" in listed or news.count((server.name, server.text)) > 1:
                yield f"adds server {server.name}, which is listed elsewhere"
            if any(server.name == other.name or _may_be_one(patched, server, other) for other in old):
                yield f"adds server {server.name} a second time"
    yield from (f"loses the servers of {place}" for place, servers in before.items() if servers)


def _listed(subject: AuditedFiles) -> set[str]:
    """The addresses of all server lines, also of those that are switched off or in other sections."""
    lines = (line.words for proxy in subject.proxies for line in proxy.configuration.tree.lines)
    return {
        re.sub(r"[\[\]]", "", words[2]) for words in lines if words[:1] == ("server",) and len(words) > 2
    }


def _may_be_one(patched: Patched, server: HAProxyServer, other: HAProxyServer) -> bool:
    """Whether two servers can be one process: names that were not resolved can be any address."""
    if server.port != other.port and other.port is not None:
        return False
    one, two = _addresses(patched, server.host), _addresses(patched, other.host)
    return one is None or two is None or not one.isdisjoint(two)


def _addresses(patched: Patched, host: str) -> set[str] | None:
    """The addresses of a host; None if they are not known."""
    try:
        return {str(ip_address(host))}
    except ValueError:
        return set(patched.before.inputs.addresses.get(host, ())) or None


def _binds(patched: Patched) -> Iterator[str]:
    def binds(subject: AuditedFiles) -> list[tuple[str, str, str, str, int | None]]:
        return [
            (proxy.name, section.kind, section.name, bind.host, bind.port)
            for proxy in subject.proxies
            for section in proxy.configuration.proxies
            for bind in section.binds
        ]

    before, after = binds(patched.before), binds(patched.after)
    fronts = {(front.host, front.port) for front in patched.before.inputs.fronts.values()}
    new, lost = list(_more(before, after)), list(_more(after, before))
    if len(lost) > len(new):
        yield f"loses bind {lost}"
    for bind in new:
        if bind[3:] not in fronts:  # type: ignore[index]
            yield f"invents bind {bind}"
        if sum(_conflict(bind[3:], other[3:]) for other in after) > 1:  # type: ignore[index]
            yield f"binds {bind} twice"


def _conflict(one: tuple[str, int | None], other: tuple[str, int | None]) -> bool:
    same_host = one[0] == other[0] or one[0] in WILDCARDS or other[0] in WILDCARDS
    return same_host and one[1] == other[1]


def _pairs(values: Mapping[int, Hashable]) -> set[tuple[int, int]]:
    return {(a, b) for a in values for b in values if a < b and values[a] == values[b]}


def _process_names(patched: Patched) -> Iterator[str]:
    def named(subject: AuditedFiles, key: str, group: str) -> dict[int, Hashable]:
        values = {index: conf.get(key, group) for index, conf in enumerate(subject.heat)}
        return {index: value.text.strip() for index, value in values.items() if value}

    for key in _NAMES:
        for group in ("DEFAULT", "oslo_messaging_rabbit"):
            before, after = named(patched.before, key, group), named(patched.after, key, group)
            if before != after and _pairs(after) - _pairs(before):
                yield f"gives two processes one {key}"


def _listeners(patched: Patched) -> Iterator[str]:
    def listeners(subject: AuditedFiles) -> Iterator[Hashable]:
        for conf, _, at in subject.api_listeners:
            if at.value:
                own = conf.host if at.wildcard or is_loopback(at.host) else ""
                yield own, at.host, at.port

    before, after = Counter(listeners(patched.before)), Counter(listeners(patched.after))
    yield from (f"makes two APIs listen at {at}" for at in after if after[at] > max(1, before[at]))


def _readable(patched: Patched) -> Iterator[str]:
    def faults(subject: AuditedFiles) -> tuple[int, int]:
        lines = [line for proxy in subject.proxies for line in proxy.configuration.tree.lines]
        return (
            sum(len(conf.options.unreadable) for conf in subject.heat),
            sum(bool(line.parsed.fault or line.parsed.unset) for line in lines),
        )

    for before, after in zip(faults(patched.before), faults(patched.after), strict=True):
        if after > before:
            yield "makes a line unreadable"


def _options_not_touched(patched: Patched) -> Iterator[str]:
    """Options of Heat files on lines that the patch leaves alone keep group and value, and none appears."""
    for old, new in zip(patched.before.heat, patched.after.heat, strict=True):
        if old is new:
            continue
        for before, after in zip(old.options.files, new.options.files, strict=True):
            edit = patched.edits.get(before.name)
            if edit is None:
                continue
            if list(_untouched(before, edit.removed)) != list(_untouched(after, edit.added)):
                yield f"changes options of {before.name} on lines that it does not touch"
            olds, news = ([(e.group, e.key) for e in file.entries] for file in (before, after))
            if any(place in olds for place in _more(olds, news)):
                yield f"sets an option of {before.name} twice"


def _untouched(file: IniFile, touched: frozenset[int]) -> Iterator[tuple[str, str, str]]:
    """Group, key and value of the options on lines not touched; no group if its own header is touched."""
    headers = [number for number, line in enumerate(file.lines, start=1) if line.startswith("[")]
    for entry in file.entries:
        if entry.number not in touched:
            header = headers[bisect(headers, entry.number) - 1] if headers else 0
            yield "" if header in touched else entry.group, entry.key, entry.raw


def _lines_not_touched(patched: Patched) -> Iterator[str]:
    """Lines of the proxy that the patch leaves alone stay in their section, and as active as they were."""

    def places(subject: AuditedFiles) -> dict[tuple[str, int], tuple[str, str, bool]]:
        found = {}
        for proxy in subject.proxies:
            for file in proxy.configuration.tree.files:
                if file.name in patched.edits:
                    for section in file.sections:
                        for line in (section.header, *section.lines):
                            found[line.file, line.number] = (section.kind, section.name, line.active)
        return found

    before, after = places(patched.before), places(patched.after)
    for (file, number), place in after.items():
        old = patched.edits[file].moved.get(number)
        if old is not None and before.get((file, old)) != place:
            yield f"moves a line of {file} to another section"


def _paths(line: str) -> Iterator[str]:
    for word in line.split():
        ends = [match.end() for match in _FILE.finditer(word, 1)]
        if ends and word[0] != "/":
            yield word[: ends[-1]]
        else:
            yield from _PATH.findall(word)


def _nothing_invented(patched: Patched) -> Iterator[str]:
    """Every address and file path that the patch writes is in the files, or was given by the owner."""
    inputs = patched.before.inputs
    texts = patched.after.inputs.texts
    for file, edit in patched.edits.items():
        lines = lines_of(texts[file])
        for number in sorted(edit.added):
            line = lines[number - 1]
            words = (*_ADDRESS.findall(line), *_paths(_REQUEST.sub("", line)))
            yield from (f"invents {word}" for word in words if not _known(inputs, word.strip("[]")))


def _known(inputs: Inputs, word: str) -> bool:
    pattern = re.compile(rf"(?<![\w.]){re.escape(word)}(?![\w.]*\w)")
    resolved = (address for group in inputs.addresses.values() for address in group)
    given = (*(str(front) for front in inputs.fronts.values()), *resolved)
    return any(word in text and pattern.search(text) for text in (*inputs.texts.values(), *given))


_ONE_EACH = frozenset({"mode", "balance", "hash-type", "maxconn", "retries", "fullconn", "default_backend"})
_FORMATS = frozenset({"option tcplog", "option httplog", "option httpslog", "log-format"})


def _statement_key(line: HAProxyLine) -> tuple[str, ...]:
    words = line.words
    if words[0] in ("timeout", "option", "server"):
        words = words[:2]
    elif words[0] in _ONE_EACH:
        words = words[:1]
    return ("log format",) if " ".join(words) in _FORMATS else words


def _said_once(patched: Patched) -> Iterator[str]:
    """No statement of a section is said twice, or beside one that takes its place."""

    def said(subject: AuditedFiles) -> Counter[tuple[str, int, tuple[str, ...]]]:
        return Counter(
            (proxy.name, index, _statement_key(line))
            for proxy in subject.proxies
            for index, section in enumerate(proxy.configuration.tree.sections)
            for line in section.statements
        )

    before, after = said(patched.before), said(patched.after)
    yield from (f"says {' '.join(key[2])} twice" for key in after if after[key] > max(1, before[key]))


def _log_formats(patched: Patched) -> Iterator[str]:
    """No section gets a log format without a log, or one for HTTP in mode tcp: HAProxy would warn."""

    def useless(subject: AuditedFiles) -> list[tuple[str, str, str]]:
        found = []
        for proxy in subject.proxies:
            logged, dead = False, set[HAProxyLine]()
            resolved = {id(section.section): section for section in proxy.configuration.proxies}
            for each in proxy.configuration.tree.sections:
                if each.kind == "global":
                    # `log global` takes what the `global` sections before that line say.
                    logged = logged or any(line.keyword == "log" for line in each.statements)
                elif not logged:
                    dead.update(line for line in each.statements if line.words[:2] == ("log", "global"))
                if section := resolved.get(id(each)):
                    formats = [key for key in section.values.single if key in _FORMATS]
                    logs = section.values.all("log")
                    http = any("http" in key for key in formats) and section.word("mode") != "http"
                    if http or (formats and not any(log.line not in dead for log in logs)):
                        found.append((proxy.name, section.kind, section.name))
        return found

    yield from (
        f"gives {place} a useless log format"
        for place in _more(useless(patched.before), useless(patched.after))
    )


def _sleeping_checks(patched: Patched) -> Iterator[str]:
    """No `http-check` rules that HAProxy ignored so far are put in force by a new `option httpchk`."""
    for old, new in zip(patched.before.proxies, patched.after.proxies, strict=True):
        for before, after in zip(old.configuration.proxies, new.configuration.proxies, strict=False):
            asleep = before.values.all("http-check") and not before.option("httpchk")
            if asleep and after.option("httpchk"):
                yield f"puts the http-check rules of {after.name} in force"


_DEFAULT_VALUES = {"mode": ("tcp",), "balance": ("roundrobin",), "hash-type": ("map-based",)}
_OF_FRONTS = frozenset(
    {"timeout client", "maxconn", "monitor-uri", "timeout http-request", "option clitcpka", *_FORMATS}
)
_OF_BACKS = frozenset(
    {"balance", "hash-type", "retries", "fullconn", "cookie", "http-check", "default-server"}
    | {f"timeout {name}" for name in ("server", "connect", "check", "queue")}
    | {f"option {name}" for name in ("redispatch", "httpchk", "tcp-check", "allbackups", "srvtcpka")}
)


def without_effect(kind: str) -> frozenset[str]:
    """The statements that HAProxy ignores in sections of a kind."""
    return {"frontend": _OF_BACKS, "backend": _OF_FRONTS}.get(kind, frozenset())


def effective(section: ProxySection) -> dict[str, object]:
    """The values that count in a section, inherited ones too; HAProxy's defaults are left out."""
    other = without_effect(section.kind)
    values: dict[str, object] = {
        key: statement.words
        for key, statement in section.values.single.items()
        if key not in other and _DEFAULT_VALUES.get(key) != statement.words
    }
    for key, statements in section.values.lists.items():
        if key not in other:
            values[f"{key}[]"] = tuple(statement.words for statement in statements)
    return values


def _reach(patched: Patched) -> Iterator[str]:
    """Only sections that the findings speak of change, or those whose own lines are edited.

    A finding that speaks of the whole proxy speaks of every section.
    """
    for old, new in zip(patched.before.proxies, patched.after.proxies, strict=True):
        if old.configuration is new.configuration or old.name in patched.named:
            continue
        for before, after in zip(old.configuration.proxies, new.configuration.proxies, strict=False):
            if after.name in patched.named or _edited(patched, before, after):
                continue
            if effective(before) != effective(after):
                yield f"also changes section {after.name}"


def _edited(patched: Patched, before: ProxySection, after: ProxySection) -> bool:
    edit = patched.edits.get(after.line.file)
    return edit is not None and (
        any(line.number in edit.added for line in after.section.lines)
        or any(line.number in edit.removed for line in before.section.lines)
    )


_CHECKS: tuple[Callable[[Patched], Iterator[str]], ...] = (
    _sections,
    _servers,
    _binds,
    _process_names,
    _listeners,
    _readable,
    _options_not_touched,
    _lines_not_touched,
    _nothing_invented,
    _said_once,
    _log_formats,
    _sleeping_checks,
    _reach,
)
