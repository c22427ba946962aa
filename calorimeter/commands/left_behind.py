"""What a killed run left behind at a deployment, and the next command undoes."""

from __future__ import annotations

import click

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError


def restore_tracing(deployment: Deployment) -> None:
    """Switch the broker's tracing off if a run that was killed with its guardian left it on."""
    from calorimeter.gates.evidence import tracing
    from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

    try:
        if tracing.restore(deployment):
            click.echo("switched off the broker's tracing, which a killed run left on", err=True)
    except (EvidenceUnavailable, InputError) as problem:
        click.echo(f"calorimeter: the broker's tracing may still be on: {problem}", err=True)


def remove_ec2(deployment: Deployment) -> None:
    """Remove EC2 credentials that a command which was killed with its guardian left at Keystone."""
    from calorimeter.core.login import lent_ec2

    try:
        if removed := lent_ec2.remove_leftovers(deployment):
            click.echo(f"removed {removed} EC2 credentials, which a killed command left", err=True)
    except InputError as problem:
        click.echo(f"calorimeter: EC2 credentials may still be at Keystone: {problem}", err=True)
