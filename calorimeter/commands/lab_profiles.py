"""`calorimeter lab profiles`: what the profiles of `lab up` set, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from calorimeter.lab.lab_topology import LabTopology


@click.command(
    short_help="Show what the profiles of `lab up` set, and the source of each value.",
    epilog="Example: calorimeter lab profiles kolla",
)
@click.argument("name", required=False)
def profiles(name: str | None) -> None:
    """Show each value that the profile NAME sets, and its source; without NAME, list the profiles.

    `rolled out` is what the tool itself sets where a lab on one machine has less.
    """
    from calorimeter.lab import lab_profile

    if name is None:
        for known in lab_profile.names():
            click.echo(f"{known:<8} {lab_profile.read(known).title}")
        return
    profile = lab_profile.read(name)
    click.echo(profile.title)
    for group, values in profile.groups().items():
        click.echo(f"\n[{group}]")
        width = max(map(len, values))
        for key, each in values.items():
            more = f"; rolled out: {each.rolled_out}" if each.rolled_out else ""
            click.echo(f"{key:<{width}}  {_text(each.value)}  ({each.source}{more})")
    click.echo("\n[sources]")
    width = max(map(len, profile.sources))
    for key, where in profile.sources.items():
        click.echo(f"{key:<{width}}  {where}")


def set_by_profile(wanted: LabTopology) -> Iterator[str]:
    """A line for each group of values that a lab has from its profile, and one for those given instead."""
    from calorimeter.lab import lab_profile

    if wanted.profile is None:
        return
    profile = lab_profile.read(wanted.profile)
    yield f"profile {wanted.profile}: {profile.title} (calorimeter lab profiles {wanted.profile})"
    other = {key: each for key, each in profile.options.items() if getattr(wanted, key) != each.value}
    for group, values in profile.groups().items():
        if group.startswith("proxy.") and wanted.proxy != "profile":
            continue
        words = [f"{key} {_text(each.value)}" for key, each in values.items() if key not in other]
        yield f"  {group}: {', '.join(words)}"
    if other:
        words = [
            f"{key} {_text(getattr(wanted, key))} (not {_text(each.value)})" for key, each in other.items()
        ]
        yield f"  given instead: {', '.join(words)}"


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return " | ".join(value) if isinstance(value, tuple) else str(value)
