"""The record of a benchmark: printed during the measurement, and written as a page."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from calorimeter.core.errors import InputError
from calorimeter.core.host import environment
from tests.bench.other_processes import OtherProcesses

RECORDER_SHARE = 0.10
BYTES_PER_SAMPLE = 36

rounds_option = click.option(
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="Number of rounds."
)
page_option = click.option(
    "--page", type=click.Path(path_type=Path), help="Markdown file for the results (default: none)."
)


class Record:
    """Rounds and figures of one benchmark, in order."""

    def __init__(self, title: str, about: str) -> None:
        self._title = title
        self._about = about
        self._rounds: list[str] = []
        self._notes: list[str] = []
        self._rows: list[tuple[str, str, str, str]] = []
        self.missed = False
        """Whether any figure misses its bound."""

    def round(self, line: str) -> None:
        """Record and print one measurement."""
        self._rounds.append(line)
        click.echo(line)

    def note(self, line: str) -> None:
        """Record and print a remark on the measurement."""
        self._notes.append(line)
        click.echo(line)

    def note_others(self, others: OtherProcesses) -> float:
        """Note what other processes used of the machine, and return their share."""
        share, stolen = others.shares()
        self.note(
            f"During the measurement, other processes used {share:.0%} of this machine, and its host took"
            f" {stolen:.1%} (steal)."
        )
        return share

    def figure(self, name: str, value: str, wanted: str = "", good: bool = True) -> None:
        """Record and print a result and its bound."""
        self.missed |= not good
        verdict = ("yes" if good else "**no**") if wanted else ""
        self._rows.append((name, value, wanted, verdict))
        mark = "" if good else "   MISSED"
        click.echo(f"{name:44} {value:>22}{f'   wanted: {wanted}' if wanted else ''}{mark}")

    def recorder_figures(self, share: float, shown: str, last: dict[str, float]) -> None:
        """Record what the recorder costs: its share of the generator's CPU, and bytes per sample."""
        most = f"at most {RECORDER_SHARE:.0%}"
        self.figure("recorder, share of the generator's CPU", shown, most, share <= RECORDER_SHARE)
        size = last["bytes"] / last["rows"]
        most = f"at most {BYTES_PER_SAMPLE}"
        self.figure("recorder, bytes per sample", f"{size:.1f}", most, size <= BYTES_PER_SAMPLE)

    def write(self, path: Path | None) -> None:
        """Write the page, if there is a path. Raises InputError if it cannot be written."""
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
