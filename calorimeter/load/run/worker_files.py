"""The files of a worker on another machine: sent by it, and written by its master.

The master makes all names: a worker can write its own files only, each once, and only as much as a load of
this length can produce.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import gevent
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.load_generator import GeneratorWindow, bottleneck
from calorimeter.core.recorded.samples import ACTION, LEDGER, SAMPLE
from calorimeter.load.run.worker_messages import CHUNK_BYTES, FILE, FilePiece

SCHEMAS = {"samples": SAMPLE, "ledger": LEDGER, "actions": ACTION}
WINDOWS = "watch/generator.jsonl"

BYTES_PER_S = 2**20
"""A Python process sends 5,000 requests a second at most, with 36 to 48 bytes each in large files."""

BYTES_ALWAYS = 64 * 2**20
"""For users that start, for what is not proportional to the length, and for very short loads."""

LINE_BYTES = 4096
"""The longest line of `generator.jsonl`; they have about 500 bytes."""


class RefusedError(Exception):
    """A worker sent what it must not send; the message completes "worker-01 …"."""


class ReceivedFiles:
    """What one worker sends to the run folder of its master."""

    def __init__(self, run: Path, worker: str, load_s: float) -> None:
        self._run = run
        self._worker = worker
        self._most = BYTES_ALWAYS + int(BYTES_PER_S * load_s)
        self._bytes = 0
        self._offsets: dict[tuple[str, int | None], int] = {}
        self._complete: set[tuple[str, int | None]] = set()
        self._line = b""

    def take(self, piece: FilePiece) -> None:
        """Write one piece. Raises RefusedError, and InputError if it cannot be written."""
        key = (piece.kind, piece.part)
        if key in self._complete or piece.offset != self._offsets.get(key, 0):
            raise RefusedError(f"sent a piece of {piece.kind} twice, or out of order")
        self._bytes += len(piece.data)
        if self._bytes > self._most:
            raise RefusedError(
                f"sent more than {self._most / 2**20:.0f} MiB, more than this load can record"
            )
        self._offsets[key] = piece.offset + len(piece.data)
        if piece.kind == "watch":
            self._take_windows(piece)
        else:
            self._take_table(piece)
        if piece.last:
            self._complete.add(key)

    def _take_table(self, piece: FilePiece) -> None:
        stem = self._worker if piece.part is None else f"{self._worker}-{piece.part:05}"
        path = files.make_folder(self._run / piece.kind) / f"{stem}.parquet"
        unfinished = path.with_suffix(".partial")
        try:
            with files.append(unfinished) if piece.offset else files.create(unfinished) as file:
                _write(unfinished, file, piece.data)
            if not piece.last:
                return
            if path.exists():
                raise RefusedError(f"sent {piece.kind}/{path.name}, which is there already")
            _require_schema(unfinished, SCHEMAS[piece.kind])
            unfinished.replace(path)
        except (InputError, RefusedError):
            with suppress(OSError):
                unfinished.unlink()
            raise

    def _take_windows(self, piece: FilePiece) -> None:
        """Add the worker's windows to those of the others, as this process writes them."""
        *lines, self._line = (self._line + piece.data).split(b"\n")
        if len(self._line) > LINE_BYTES or (piece.last and self._line):
            raise RefusedError("sent a line without an end")
        text = b"".join(self._window(line) for line in lines)
        path = self._run / WINDOWS
        files.make_folder(path.parent)
        with files.append(path) as file:
            _write(path, file, text)

    def _window(self, line: bytes) -> bytes:
        """A line, written anew with the judgement of this process."""
        try:
            window = GeneratorWindow.model_validate_json(line)
        except ValidationError as problem:
            raise RefusedError(f"sent a line that is no line of {WINDOWS}") from problem
        numbers = [value for value in window.model_dump().values() if isinstance(value, int | float)]
        if not all(isfinite(value) and abs(value) < 2**63 for value in numbers):
            raise RefusedError(f"sent a line of {WINDOWS} with a number that cannot be")
        if window.worker != self._worker or len(line) > LINE_BYTES:
            raise RefusedError(f"sent a line of {WINDOWS} that is not its own")
        judged = window.model_copy(update={"why_invalid": bottleneck(window)})
        return judged.model_dump_json().encode() + b"\n"


def _write(path: Path, file: Any, data: bytes) -> None:
    try:
        files.write_all(file, data)
    except OSError as problem:
        raise InputError(str(path), f"cannot be written ({problem.strerror})") from problem


def _require_schema(path: Path, schema: pa.Schema) -> None:
    try:
        found = pq.read_schema(path)
    except (OSError, pa.ArrowException, ValueError) as problem:
        raise RefusedError(f"sent a damaged {path.stem}.parquet") from problem
    if not found.equals(schema):
        raise RefusedError(f"sent {path.stem}.parquet with other columns than a recorder writes")


# The worker's side


def send_files(runner: Any, run: Path, worker: str) -> int:
    """Send the files of a worker on another machine to its master. Returns the number of bytes."""
    sent = 0
    for piece in _pieces(run, worker):
        runner.send_message(FILE, piece.model_dump())
        sent += len(piece.data)
        gevent.sleep(0)  # lets heartbeats through, which use the same connection
    return sent


def _pieces(run: Path, worker: str) -> Iterator[FilePiece]:
    own = re.compile(rf"{re.escape(worker)}(?:-(\d{{5}}))?\.parquet")
    for kind in SCHEMAS:
        for file in sorted((run / kind).glob("*.parquet")):
            if found := own.fullmatch(file.name):
                with files.open_to_read(file, within=run) as content:
                    size = file.stat().st_size
                    chunks = iter(lambda: content.read(CHUNK_BYTES), b"")  # used up here
                    yield from _in_pieces(kind, int(found[1]) if found[1] else None, chunks, size)
    data = b"".join(_own_lines(run, worker))
    chunks = iter([data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)])
    yield from _in_pieces("watch", None, chunks, len(data))


def _in_pieces(kind: Any, part: int | None, chunks: Iterator[bytes], size: int) -> Iterator[FilePiece]:
    offset = 0
    for chunk in chunks:
        last = offset + len(chunk) >= size
        yield FilePiece(kind=kind, part=part, offset=offset, data=chunk, last=last)
        offset += len(chunk)


def _own_lines(run: Path, worker: str) -> Iterator[bytes]:
    """A worker's lines of the file that all workers of a machine share, without one that was cut."""
    with suppress(files.MissingFileError):
        for line in files.read_lines(run / WINDOWS, within=run):
            with suppress(ValueError, KeyError, TypeError):
                if json.loads(line)["worker"] == worker:
                    yield line + b"\n"
