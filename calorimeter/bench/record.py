"""What a benchmark found: said while it is found, and written as a page that says how it was measured."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from calorimeter.bench.other_processes import OtherProcesses
from calorimeter.core import environment
from calorimeter.core.errors import InputError


class Record:
    """Rounds and figures of one benchmark, in order."""

    def __init__(self, title: str, about: str) -> None:
        self._title = title
        self._about = about
        self._rounds: list[str] = []
        self._notes: list[str] = []
        self._rows: list[tuple[str, str, str, str]] = []
        self.missed = False
        """Whether any figure misses what is wanted."""

    def round(self, line: str) -> None:
        """One measurement."""
        self._rounds.append(line)
        click.echo(line)

    def note(self, line: str) -> None:
        """What a reader must know of how it was measured."""
        self._notes.append(line)
        click.echo(line)

    def meanwhile(self, others: OtherProcesses) -> float:
        """Note what others used of the machine; the share of other processes."""
        share, stolen = others.shares()
        self.note(
            f"Other processes used {share:.0%} of this machine meanwhile, its host {stolen:.1%} (steal)."
        )
        return share

    def figure(self, name: str, value: str, wanted: str = "", good: bool = True) -> None:
        """A result beside what is wanted."""
        self.missed |= not good
        verdict = ("yes" if good else "**no**") if wanted else ""
        self._rows.append((name, value, wanted, verdict))
        mark = "" if good else "   MISSED"
        click.echo(f"{name:44} {value:>22}{f'   wanted: {wanted}' if wanted else ''}{mark}")

    def write(self, path: Path | None) -> None:
        """Write the page; raises `InputError` where that cannot be."""
        if path is None:
            return
        machine = environment.capture()
        memory = (machine["memory_bytes"] or 0) / 2**30
        command = f"bin/bench {' '.join(sys.argv[1:])}"
        lines = [
            f"# {self._title}",
            "",
            self._about,
            "",
            "| figure | measured | wanted | met |",
            "|---|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in self._rows),
            "",
            *self._notes,
            "",
            f"Measured by `{command}` on {datetime.now(UTC):%Y-%m-%d}, revision {machine['git_revision']}: "
            f"{machine['cpus']} cores of {machine['cpu']}, {memory:.0f} GiB, {machine['system']}, Linux "
            f"{machine['kernel']}, Python {machine['python']}, "
            + ", ".join(
                f"{name} {machine['libraries'][name]}" for name in ("locust", "gevent", "httptools")
            )
            + ".",
            "",
            "Every round:",
            "",
            *(f"    {line}" for line in self._rounds),
            "",
        ]
        try:
            path.write_text("\n".join(lines), encoding="utf-8")
        except OSError as problem:
            raise InputError(str(path), f"cannot be written ({problem.strerror})") from problem
