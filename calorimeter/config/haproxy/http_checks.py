"""What a health check requests and accepts: `option httpchk` and the `http-check` rules.

As HAProxy 2.6 does it: the first rule of a section (`option httpchk` is one) replaces all inherited rules,
even the request of an inherited `option httpchk`. Of several options that choose a kind of check
the last one wins.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, replace

from calorimeter.config.haproxy.text import HAProxyLine
from calorimeter.config.haproxy.units import integer_or_none

_KINDS = """
    httpchk tcp-check external-check mysql-check pgsql-check redis-check smtpchk ldap-check ssl-hello-chk
    spop-check
"""
CHECK_OPTIONS = frozenset(_KINDS.split())
"""The options that choose the kind of check: the last one wins."""
_RULES = frozenset({"send", "expect", "connect", "comment", "set-var", "set-var-fmt", "unset-var"})
_OPTIONS = "min-recv comment ok-status error-status tout-status on-success on-error status-code"
_EXPECT_OPTIONS = frozenset(_OPTIONS.split())
_LONGEST_PATTERN = 300
"""Characters of a pattern, times its repetitions: the time can grow with their cube."""


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """The HTTP request of a health check, and the line that sets it."""

    method: str
    path: str
    line: HAProxyLine

    @property
    def text(self) -> str:
        """`METHOD PATH`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class _Expect:
    """One `http-check expect`: what it looks at (`status`, `rstatus`, `string`, …), and its pattern."""

    match: str
    pattern: str
    negated: bool
    line: HAProxyLine

    def holds(self, status: int) -> bool | None:
        """Whether it holds for a status; None if it looks at something else."""
        if self.match == "status":
            found: bool | None = any(_in_range(code, status) for code in self.pattern.split(","))
        elif self.match == "rstatus":
            found = _matches(self.pattern, str(status))
        else:
            return None
        return found if found is None else found != self.negated


@dataclass(frozen=True, slots=True)
class AcceptedStatuses:
    """The statuses that keep a checked server UP; by default 2xx and 3xx.

    `conclusive` is False if the check is no HTTP request, or if more requests follow.
    """

    expects: tuple[_Expect, ...] = ()
    drains_on_404: bool = False
    conclusive: bool = True

    def accepts(self, status: int) -> bool | None:
        """Whether a server that answers the check with `status` gets new clients.

        None if more than the status decides.
        """
        if status == 404 and self.drains_on_404:
            return False
        results = [expect.holds(status) for expect in self.expects]
        if not self.expects and self.conclusive:
            results = [200 <= status <= 399]
        if False in results:
            return False
        return True if self.conclusive and None not in results else None

    @property
    def line(self) -> HAProxyLine | None:
        """The line of the first `http-check expect`; None if HAProxy's default is in force."""
        return self.expects[0].line if self.expects else None


@dataclass(frozen=True, slots=True)
class _Step:
    """One rule: `send` (with what it sets of the request), `expect`, or another."""

    kind: str
    line: HAProxyLine
    method: str = ""
    path: str = ""
    of_option: bool = False
    expect: _Expect | None = None

    def overwritten(self, other: _Step) -> _Step:
        """This `send` with what the other one sets."""
        if not other.method and not other.path:
            return self
        method, path = other.method or self.method, other.path or self.path
        return replace(self, method=method, path=path, line=other.line)


@dataclass(frozen=True, slots=True)
class HealthRules:
    """The check options and rules of a section, as far as they were read."""

    option: HAProxyLine | None = None
    steps: tuple[_Step, ...] = ()
    own: bool = False
    drains_on_404: bool = False

    def inherited(self) -> HealthRules:
        """The rules at the start of a section that inherits these."""
        return replace(self, own=False)

    def after(self, words: tuple[str, ...], line: HAProxyLine) -> HealthRules:
        """The rules after one more statement; the same ones if it is not about checks."""
        match words:
            case ("option", kind, *arguments) if kind in CHECK_OPTIONS:
                steps = self.steps if self.own or kind != "httpchk" else ()
                if kind == "httpchk":
                    steps = _with_option(steps, _option_send(arguments, line))
                return replace(self, option=line, steps=steps, own=self.own or kind == "httpchk")
            case ("http-check", "disable-on-404", *_):
                return replace(self, drains_on_404=True)
            case ("http-check", kind, *arguments) if kind.partition("(")[0] in _RULES:
                steps = self.steps if self.own else ()
                return replace(self, steps=_with_rule(steps, _step(kind, arguments, line)), own=True)
        return self

    @property
    def http(self) -> bool:
        """Whether the last option that chooses a kind of check chooses HTTP."""
        return self.option is not None and self.option.words[1:2] == ("httpchk",)

    @property
    def request(self) -> HealthRequest | None:
        """The first request; None if the check is no HTTP, or sends none."""
        send = next((step for step in self.steps if step.kind == "send"), None) if self.http else None
        return HealthRequest(send.method or "OPTIONS", send.path or "/", send.line) if send else None

    @property
    def accepted(self) -> AcceptedStatuses:
        """The statuses that the first request must be answered with."""
        if self.request is None:
            return AcceptedStatuses(conclusive=False)
        sends = [index for index, step in enumerate(self.steps) if step.kind == "send"]
        last = sends[1] if len(sends) > 1 else len(self.steps)
        expects = tuple(step.expect for step in self.steps[sends[0] : last] if step.expect)
        return AcceptedStatuses(expects, self.drains_on_404, conclusive=len(sends) == 1)

    @property
    def replacing(self) -> HAProxyLine | None:
        """The first `http-check` rule of a section that leaves its HTTP check without a request."""
        return self.steps[0].line if self.http and self.steps and self.request is None else None


def _option_send(arguments: list[str], line: HAProxyLine) -> _Step:
    """`option httpchk [URI]`, or `METHOD URI [VERSION]`."""
    method, path = ("", arguments[0]) if len(arguments) == 1 else (*arguments, "", "")[:2]
    return _Step("send", line, method, path, of_option=True)


def _with_option(steps: tuple[_Step, ...], send: _Step) -> tuple[_Step, ...]:
    """Steps with the request of an option; it replaces an earlier option's, and merges with a rule's."""
    at = 1 if steps and steps[0].kind == "connect" else 0
    first = steps[at] if at < len(steps) else None
    if first is None or first.kind != "send":
        return (send, *steps)
    return (*steps[:at], send if first.of_option else first.overwritten(send), *steps[at + 1 :])


def _with_rule(steps: tuple[_Step, ...], rule: _Step) -> tuple[_Step, ...]:
    """Steps with one more rule: the first `send` takes what it does not set from the option's request."""
    if rule.kind == "send" and steps and steps[0].of_option:
        return (*steps[1:], replace(steps[0].overwritten(rule), of_option=False))
    return (*steps, rule)


def _step(kind: str, arguments: list[str], line: HAProxyLine) -> _Step:
    if kind == "expect":
        return _Step(kind, line, expect=_expect(arguments, line))
    if kind != "send":
        return _Step(kind, line)
    given: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        given[word] = next(words, "")
        if word == "hdr":
            next(words, "")
    return _Step(kind, line, given.get("meth", ""), given.get("uri", "") or given.get("uri-lf", ""))


def _expect(arguments: list[str], line: HAProxyLine) -> _Expect | None:
    negated = False
    words = iter(arguments)
    for word in words:
        match = word.lstrip("!")
        negated ^= (len(word) - len(match)) % 2 == 1
        if match in _EXPECT_OPTIONS:
            next(words, "")
        elif match:
            return _Expect(match, next(words, ""), negated, line)
    return None


def _in_range(code: str, status: int) -> bool:
    first, _, last = code.partition("-")
    low, high = integer_or_none(first), integer_or_none(last or first)
    return low is not None and high is not None and low <= status <= high


def _matches(pattern: str, text: str) -> bool | None:
    """Whether a pattern of the file matches a status; None if it cannot be read or could take very long."""
    repeated = math.prod(max(1, int(times[:6])) for times in re.findall(r"(?<=[{,])\d+(?=})", pattern))
    if len(pattern) * repeated > _LONGEST_PATTERN:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.search(pattern, text) is not None
    except (re.error, OverflowError, RecursionError):
        return None
