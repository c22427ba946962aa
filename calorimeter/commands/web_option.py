"""`--web [ADDRESS:PORT]`: where a page listens; on loopback if no address is given."""

from __future__ import annotations

import re
from typing import Any

import click

from calorimeter.commands.param_types import NumberParam
from calorimeter.core import bounds
from calorimeter.core.shown_text import quoted

DEFAULT = "127.0.0.1:8089"
_PLACE = re.compile(r"\S+:[0-9]+|:?[0-9]+", re.ASCII)
"""What can only be meant as the value of --web, or as a wrong one; anything else is the next argument."""


class ListenParam(NumberParam):
    """An address of this machine and a port, as in `127.0.0.1:8089`."""

    def __init__(self) -> None:
        super().__init__(bounds.PORT)
        self.name = "ADDRESS:PORT"

    def read(self, text: str) -> Any:
        """The address. Raises ValueError: a name could be one of several addresses."""
        from ipaddress import ip_address

        from calorimeter.core.deployment import address

        try:
            at = address(text)
            ip_address("127.0.0.1" if at.host == "localhost" else at.host)
            if str(at) != text:  # a bracket is missing
                raise ValueError
        except ValueError as problem:
            valid = f"valid: an IP address of this machine and a port, as in {DEFAULT}"
            raise ValueError(f"{valid}; 0.0.0.0:8089 for all of its addresses") from problem
        return at

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The address. Fails with an example if it is none."""
        try:
            return self.read(value) if isinstance(value, str) else value
        except ValueError as problem:
            self.fail(f"{quoted(value)} given; {problem}", param, ctx)


class WebCommand(click.Command):
    """A command whose `--web` may stand before an argument, as in `run --web first-mix`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with the default address given to a `--web` that no address follows."""
        return super().parse_args(ctx, with_address(args))


def with_address(words: list[str]) -> list[str]:
    """The words of a command line, each `--web` with its value."""
    found = []
    for place, word in enumerate(words):
        if word == "--":
            break
        after = words[place + 1] if place + 1 < len(words) else ""
        found.append(f"--web={DEFAULT}" if word == "--web" and not _PLACE.fullmatch(after) else word)
    return [*found, *words[len(found) :]]
