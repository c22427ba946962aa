"""Standard output and error: text is shown, never obeyed, and a stream that is gone is no crash.

`guarded` replaces both streams for a whole command, so that nothing that prints can forget it:
`click.echo`, `print`, logging, tracebacks, libraries. Colours and moves of the cursor that are the suite's
own go through `styled`, `rewritten` and `console`.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

import click

from calorimeter.core.shown_text import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.file_proxy import FileProxy
    from rich.status import Status

REWRITE = "\r\033[K"
"""Moves to the start of the line and clears it."""


class ShownStream(io.TextIOWrapper):
    """A stream that shows control characters instead of sending them, and outlives its reader.

    `problem` is the first error of writing. What is written after it is lost; the command goes on.
    """

    def __init__(self, stream: TextIO) -> None:
        # ASCII is what Python assumes where nobody has set a locale; click writes UTF-8 then, too.
        encoding = "utf-8" if stream.encoding.lower() in ("ascii", "ansi_x3.4-1968", "us-ascii") else None
        lines = getattr(stream, "line_buffering", False)
        super().__init__(
            stream.buffer, encoding or stream.encoding, errors="backslashreplace", line_buffering=lines
        )
        self.problem: OSError | None = None
        self._below = stream  # which would close the buffer if nobody kept it

    def write(self, text: str) -> int:
        """Write text with its control characters shown."""
        self.own(plain(text))
        return len(text)

    def own(self, text: str) -> None:
        """Write text of the suite itself, with its control sequences."""
        try:
            super().write(text)
        except OSError as problem:
            self._lost(problem)

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            super().flush()
        except OSError as problem:
            self._lost(problem)

    def _lost(self, problem: OSError) -> None:
        """Write to /dev/null from now on: Python flushes at exit, and children have the same stream."""
        self.problem = self.problem or problem
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


@contextmanager
def guarded() -> Iterator[ShownStream]:
    """Guard both standard streams; yields standard output. After an error that is printed, they stay so."""
    before = sys.stdout, sys.stderr
    streams = guard()
    try:
        yield streams[0]
    except Exception:
        raise  # Python prints it to these streams
    except BaseException:
        _restore(before, streams)
        raise
    _restore(before, streams)


def guard() -> tuple[ShownStream, ShownStream]:
    """Replace standard output and standard error by guarded ones, for the rest of this process."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: else the next file would take its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    streams = ShownStream(sys.stdout), ShownStream(sys.stderr)
    for old, new in zip((sys.stdout, sys.stderr), streams, strict=True):
        old.flush()
        for handler in logging.root.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.setStream(new)
    sys.stdout, sys.stderr = streams
    return streams


def _restore(before: tuple[TextIO, TextIO], streams: tuple[ShownStream, ShownStream]) -> None:
    sys.stdout, sys.stderr = before
    for stream in streams:
        stream.flush()
        with suppress(OSError, ValueError):
            stream.detach()


def reader_is_gone() -> bool:
    """Whether nobody reads standard output any more: what prints without end ends then."""
    return isinstance(sys.stdout, ShownStream) and sys.stdout.problem is not None


def styled(text: str, **style: Any) -> None:
    """Print a line to standard output, on a terminal with a style of `click.style`."""
    stream = sys.stdout
    if isinstance(stream, ShownStream) and stream.isatty() and style and "NO_COLOR" not in os.environ:
        stream.own(click.style(plain(text), **style) + "\n")
        stream.flush()
    else:
        click.echo(plain(text))


def rewritten(line: str) -> None:
    """Print a line to standard error that replaces the last one on a terminal; elsewhere a line."""
    with suppress(OSError):
        text = f"{REWRITE}{plain(line)}" if sys.stderr.isatty() else f"{plain(line)}\n"
        sys.stderr.own(text) if isinstance(sys.stderr, ShownStream) else sys.stderr.write(text)
        sys.stderr.flush()


def console(*, error: bool = False, width: int | None = None) -> Console:
    """A console of rich, for tables and spinners: no text is markup, and no foreign escape is sent."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class _ShownConsole(Console):
        def render_str(self, text: str, **how: Any) -> Text:
            return super().render_str(plain(text), **how)  # before widths are computed

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=plain(segment.text))

    stream = sys.stderr if error else sys.stdout
    file = cast("IO[str]", _Through(stream, stream.own)) if isinstance(stream, ShownStream) else stream
    return _ShownConsole(file=file, width=width, markup=False, emoji=False, highlight=False)


@contextmanager
def status(text: str) -> Iterator[Status]:
    """A spinner with a text on standard error, if that is a terminal; `update` changes the text."""
    from rich.file_proxy import FileProxy

    with console(error=True).status(text) as shown:
        for name in ("stdout", "stderr"):
            proxy = getattr(sys, name)
            if isinstance(proxy, FileProxy):  # rich prints above the spinner, and obeys colours in it
                setattr(sys, name, _Through(proxy, partial(_write_shown, proxy)))
        yield shown


def _write_shown(stream: FileProxy, text: str) -> None:
    stream.write(plain(text))


class _Through:
    """A stream that is written to in another way."""

    def __init__(self, stream: object, write: Callable[[str], object]) -> None:
        self._stream = stream
        self._write = write

    def write(self, text: str) -> int:
        self._write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
