"""`python -m tests.bench`, which `bin/bench` runs."""

from __future__ import annotations

import sys

import click

from calorimeter.core.errors import InputError
from tests.bench.beside import beside
from tests.bench.clients import client
from tests.bench.live_page import live
from tests.bench.punctuality import arrivals


@click.group()
def bench() -> None:
    """Measure the load generator."""


bench.add_command(client)
bench.add_command(arrivals)
bench.add_command(beside)
bench.add_command(live)

if __name__ == "__main__":
    try:
        sys.exit(bench(standalone_mode=False) or 0)
    except (InputError, click.ClickException) as problem:
        line = problem.format_message() if isinstance(problem, click.ClickException) else problem
        print(f"bench: {line}", file=sys.stderr)
        sys.exit(2)
