"""What the commands of `calorimeter lab` share: their options, and how they report a daemon that failed.

An option that is not given is None: its default is that of `LabTopology`, or of the profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from calorimeter.commands.param_types import NumberParam, NumbersParam
from calorimeter.core import bounds
from calorimeter.core.errors import InputError

if TYPE_CHECKING:
    from calorimeter.lab.lab_state import Lab

COUNT = NumberParam(bounds.LAB_COUNT)
PORT = NumberParam(bounds.PORT)
CONNECTIONS = NumberParam(bounds.LAB_CONNECTIONS)


def option(name: str, text: str, **attributes: Any) -> Callable[..., Any]:
    """An option that shows its default, if it has one."""
    return click.option(name, help=text, **{"show_default": "default" in attributes, **attributes})


def choice(name: str, text: str, *values: str, default: str | None = None) -> Callable[..., Any]:
    """An option that takes one of `values`; the help says its default, the first value if none is given."""
    shown = f"{text.removesuffix('.')} (default: {default or values[0]})."
    return option(name, shown, type=click.Choice(values))


NAME = option("--name", "Name of the lab.", default="lab")


class TimeoutsParam(click.ParamType[dict[str, str]]):
    """`client=2s,server=3s`: timeouts of the proxy by their names."""

    name = "NAME=TIME,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Name → time, as HAProxy writes them."""
        from calorimeter.config.haproxy.haproxy_writer import GUIDE_TIMEOUTS
        from calorimeter.config.haproxy.units import seconds

        if isinstance(value, dict):
            return value
        found = {}
        for word in filter(None, str(value).split(",")):
            key, _, time = word.strip().partition("=")
            try:
                seconds(time)
            except ValueError as problem:
                self.fail(str(problem), param, ctx)
            if key not in GUIDE_TIMEOUTS:
                self.fail(f"unknown timeout {key!r}; valid: {', '.join(GUIDE_TIMEOUTS)}", param, ctx)
            found[key] = time
        return found


class WordsParam(click.ParamType[tuple[str, ...]]):
    """`proxy,backends`: one or more of some words, in any order."""

    name = "WORD,…"

    def __init__(self, *valid: str) -> None:
        self.valid = valid

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The words, each once, in the order of the valid ones."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        for word in words:
            if word not in self.valid:
                self.fail(f"{word!r} given; valid: {', '.join(self.valid)}", param, ctx)
        return tuple(word for word in self.valid if word in words)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The valid words."""
        return f"{'|'.join(self.valid)},…"


PROXY_OPTIONS = (
    choice("--proxy", "Proxy configuration: the guide's to the letter, or the same with health checks.",
           "guide", "checked", default="checked"),
    choice("--balance", "`balance` of both sections.", "source", "roundrobin", "static-rr", "leastconn",
           "random", "first", "uri"),
    choice("--stick-on", "What keeps a client on its server: a stick table of addresses, or a cookie (in "
           "mode http).", "src", "cookie", default="nothing"),
    choice("--hash-type", "`hash-type` for `balance source` and `uri`.", "map-based", "consistent",
           default="that of --proxy"),
    option("--weights", "Weights of the servers, such as 1,2,1 (default: all equal).",
           type=NumbersParam("W,W,…", bounds.HAPROXY_WEIGHT)),
    choice("--mode", "HAProxy mode of both sections.", "tcp", "http"),
    option("--timeouts", "Timeouts of the proxy that differ from the guide's, such as client=2s,server=3s "
           "(default: none).", type=TimeoutsParam()),
    option("--maxconn", "maxconn of the whole proxy (default: the guide's).", type=CONNECTIONS),
    option("--server-maxconn", "maxconn of each server (default: no limit).", type=CONNECTIONS),
)  # fmt: skip


def with_options(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Add options to a command, in the order in which help lists them."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(options):
            command = each(command)
        return command

    return add


def given(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in asked.items() if value is not None}


def say(line: str) -> None:
    """Show a line of progress."""
    click.echo(line, err=True)


def open_lab(name: str) -> Lab:
    """The lab that a command changes; what a killed run left broken in it is healed first."""
    from calorimeter.core.faults.journal import heal_leftovers
    from calorimeter.lab import lab_state

    opened = lab_state.open_lab(name)
    heal_leftovers(opened.deployment)
    return opened


@contextmanager
def daemons() -> Iterator[None]:
    """Report a daemon that failed as unusable input, with the end of its log."""
    from calorimeter.lab.daemons.daemon import DaemonError

    try:
        yield
    except DaemonError as problem:
        if problem.tail:
            click.echo(f"the end of the log of {problem.part}:\n{problem.tail}\n", err=True)
        raise InputError(f"lab: {problem.part}", problem.what) from problem
    except OSError as problem:
        raise InputError(str(problem.filename or "lab"), str(problem.strerror or problem)) from problem
