"""Sentences and commands on lines of a terminal's width."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100


def sentence(text: str, indent: str = "", more: str = "    ") -> list[str]:
    """A sentence on lines that break between words; `more` indents the lines after the first."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=more,
        break_long_words=False,
        break_on_hyphens=False,
    )


def command(words: Sequence[str], options: Iterable[str] = ()) -> list[str]:
    r"""A shell command on lines that end with `\`, broken only before an option.

    `words` are quoted where a shell needs it; `options` are texts of options with their values.
    """
    pieces: list[list[str]] = [[]]
    for word in words:
        if word.startswith("-"):
            pieces.append([])
        pieces[-1].append(word)
    parts = [shlex.join(piece) for piece in pieces if piece]
    parts += [part for text in options for part in re.split(r" (?=-)", text)]
    lines = parts[:1]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + len("  \\") > WIDTH:
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}"
    return [*(f"{line} \\" for line in lines[:-1]), *lines[-1:]]
