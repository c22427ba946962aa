"""Lines that HAProxy refuses: statements of other programs, misspelt ones, and those of HAProxy 1.

Keywords that are not in the manual of HAProxy 2.6 and resemble none are left alone: they may be newer ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from calorimeter.config.haproxy.text import PROXIES, HAProxyFiles, HAProxyLine, HAProxySection
from calorimeter.config.haproxy.values import in_new_words

_PROXY_KEYWORDS = """
    acl backlog balance bind bind-process capture clitcpka-cnt clitcpka-idle clitcpka-intvl
    compression cookie declare default default-server default_backend description disabled dispatch
    dynamic-cookie-key email-alert enabled error-log-format errorfile errorfiles errorloc
    errorloc302 errorloc303 external-check filter force-be-switch force-persist fullconn guid
    hash-balance-factor hash-preserve-affinity hash-type http-after-response http-check http-error
    http-request http-response http-reuse http-send-name-header id ignore-persist
    load-server-state-from-file log log-format log-format-sd log-steps log-tag max-keep-alive-queue
    max-session-srv-conns maxconn mode monitor monitor-uri no option persist quic-initial rate-limit
    redirect retries retry-on server server-state-file-name server-template source srvtcpka-cnt
    srvtcpka-idle srvtcpka-intvl stats stick stick-table tcp-check tcp-request tcp-response timeout
    transparent unique-id-format unique-id-header use-fcgi-app use-server use_backend
"""
KEYWORDS = frozenset(_PROXY_KEYWORDS.split())
"""The first words of statements in proxy sections."""
_ALIKE = 0.8
_GONE_WORDS = """
    appsession block monitor-net reqadd reqallow reqdel reqdeny reqiallow reqidel reqideny reqipass reqirep
    reqitarpit reqpass reqrep reqtarpit rspadd rspdel rspdeny rspidel rspideny rspirep rsprep
"""
_GONE = frozenset(_GONE_WORDS.split())
_GONE_OPTIONS = ("forceclose", "http-tunnel")


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that HAProxy does not accept, and why; `nearest` is what may be meant."""

    line: HAProxyLine
    says: str
    nearest: str | None = None


@dataclass(frozen=True, slots=True)
class OldLine:
    """A line that HAProxy 1 accepted and HAProxy 2 refuses; `now` are the lines that replace it."""

    line: HAProxyLine
    says: str
    now: tuple[str, ...] = ()


def refused_lines(tree: HAProxyFiles) -> Iterator[RefusedLine]:
    """The lines that no HAProxy accepts."""
    for file in tree.files:
        for line in file.preamble:
            if line.keyword and line.active:
                yield _outside(line)
        for section in file.sections:
            for line in (section.header, *section.lines):
                if line.parsed.fault:
                    yield RefusedLine(line, line.parsed.fault)
            yield from _unknown(section)


def is_refused(section: HAProxySection) -> bool:
    """Whether HAProxy cannot read a line of a section, which then may be any statement."""
    return any(line.parsed.fault for line in section.lines) or any(True for _ in _unknown(section))


def includes(tree: HAProxyFiles) -> Iterator[HAProxyLine]:
    """The `include` lines: HAProxy has no such statement, so their files are not read."""
    return (line for line in tree.lines if line.keyword == "include" and line.active)


def old_lines(tree: HAProxyFiles) -> Iterator[OldLine]:
    """The lines of HAProxy 1 that HAProxy 2 refuses."""
    for section in tree.sections:
        if section.kind not in (*PROXIES, "defaults"):
            continue
        if section.has_address:
            kind, name, address = section.header.words[:3]
            now = (f"{kind} {name}", f"    bind {address}")
            plain = all(word.replace("_", "a").replace("-", "a").isalnum() for word in (kind, name))
            says = f"has the address {address}, which belongs to a bind line"
            yield OldLine(section.header, says, now if plain and len(section.header.words) == 3 else ())
        for line in section.statements:
            found = _old(line)
            if found:
                yield found


def _outside(line: HAProxyLine) -> RefusedLine:
    if line.parsed.fault:
        return RefusedLine(line, line.parsed.fault)
    return RefusedLine(line, f"{line.keyword!r} stands before the first section")


def _unknown(section: HAProxySection) -> Iterator[RefusedLine]:
    for line in section.statements:
        if line.parsed.fault:
            continue
        keyword = line.words[1] if line.keyword == "no" and len(line.words) > 1 else line.keyword
        if keyword == "include":
            yield RefusedLine(line, f"{' '.join(line.words)!r} is not a statement of HAProxy")
        elif section.kind in (*PROXIES, "defaults") and keyword not in KEYWORDS and not _old(line):
            nearest = get_close_matches(keyword[:40].lower(), KEYWORDS, n=1, cutoff=_ALIKE)
            # No keyword of any release begins with a sign: `;` is no comment here.
            if nearest or not keyword[0].isalpha():
                yield RefusedLine(line, f"unknown keyword {keyword!r}", nearest[0] if nearest else None)


def _old(line: HAProxyLine) -> OldLine | None:
    words = in_new_words(line.words)
    if words != line.words:
        return OldLine(line, f"has {line.keyword}", (" ".join(words),))
    if words[0] == "option" and words[1:2] and words[1] in _GONE_OPTIONS:
        return OldLine(line, f"has option {words[1]}")
    return OldLine(line, f"has {words[0]}") if words[0] in _GONE else None
