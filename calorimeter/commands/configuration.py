"""The commands `describe`, `audit` and `generate`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from calorimeter.commands.options import FILE
from calorimeter.commands.param_types import DurationParam, NumberParam
from calorimeter.core import bounds
from calorimeter.core.control.control_table import Driver
from calorimeter.core.deployment import Consent
from calorimeter.core.errors import InputError

if TYPE_CHECKING:
    from calorimeter.config.audit import AuditReport, Inputs
    from calorimeter.config.describe.deployment_from_files import Description


def _of_files(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that name files, sections, addresses and hosts."""
    for option in (
        click.option("--engine", "engines", multiple=True, metavar="HOST[=PROCESSES]",
                     help="Host with engines, and how many heat-engine run there (default: 1); may be "
                     "repeated (default: the host of each heat.conf)."),
        click.option("--cfn-url", metavar="URL",
                     help="URL of the CFN API as clients know it (default: from the proxy's bind)."),
        click.option("--rest-url", metavar="URL",
                     help="URL of the REST API as clients know it (default: from the proxy's bind)."),
        click.option("--cfn-section", metavar="NAME",
                     help="HAProxy section of the CFN API (default: the one that serves it)."),
        click.option("--rest-section", metavar="NAME",
                     help="HAProxy section of the REST API (default: the one that serves it)."),
        click.option("--heat-conf", "heat_confs", multiple=True, metavar="HOST[:ROLE[,ROLE]]=FILE[,FILE…]",
                     help="heat.conf of one process on HOST, several files as with --config-file; may be "
                     "repeated. {host}={host}/heat.conf gives the files of all hosts. ROLE is rest, cfn "
                     "or engine (default: from the names and content of the files)."),
        click.option("--resolve/--no-resolve", default=True, show_default=True,
                     help="Resolution of host names in the files, to compare them with addresses (at most "
                     "2 s)."),
        click.option("--proxy", "proxies", multiple=True, metavar="FILE | NAME=FILE",
                     help="HAProxy's configuration; may be repeated, in the order of -f. If there are "
                     "several proxies: NAME=FILE for each file."),
    ):  # fmt: skip
        command = option(command)
    return command


def _sections(rest: str | None, cfn: str | None) -> dict[str, str]:
    return {api: name for api, name in (("rest", rest), ("cfn", cfn)) if name}


@click.command()
@click.argument("files", nargs=-1, metavar="[FILES | deployment.toml]")
@_of_files
@click.option("--max-detection", type=DurationParam(),
              help="Time in which a failed API must be detected (default: [expect] max_detection_s, or "
              "none: the bounds are a note).")  # fmt: skip
@click.option("--expect-balance", multiple=True, metavar="[API=]BALANCE",
              help="Balance that you want, of both APIs or of rest or cfn; may be repeated (default: "
              "[expect] balance, or none: a difference from the guide is a note).")  # fmt: skip
@click.option("--heat-release", metavar="RELEASE",
              help="Release of Heat: 24, 24.1.2, 2025.1 or epoxy (default: [versions] heat, or "
              "unknown).")  # fmt: skip
@click.option("--rabbitmq-release", metavar="VERSION",
              help="Version of RabbitMQ, such as 4.3 (default: [versions] rabbitmq, or "
              "unknown).")  # fmt: skip
@click.option("--database-connections", type=NumberParam(bounds.DATABASE_CONNECTIONS),
              help="max_connections of the database (default: MySQL's, 151).")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text",
              show_default=True, help="Format of the report.")  # fmt: skip
@click.option("-o", "--output", type=FILE, help="File for the report (default: the terminal).")
@click.option("--patch", type=FILE, help="File for all changes, for `patch -p1`; mode 600: it may hold "
              "passwords (default: none).")  # fmt: skip
@click.option("--run", "run", type=FILE,
              help="Run folder to which the verdicts of A1 to A12 are added (default: none).")  # fmt: skip
@click.option("--check-with-haproxy", is_flag=True,
              help="Messages of `haproxy -c`, too: only where the proxy runs, because copied files lack "
              "its certificates, users and folders (default: as deployment.toml says, or no).")  # fmt: skip
def audit(
    files: tuple[str, ...],
    proxies: tuple[str, ...],
    heat_confs: tuple[str, ...],
    rest_section: str | None,
    cfn_section: str | None,
    rest_url: str | None,
    cfn_url: str | None,
    engines: tuple[str, ...],
    max_detection: float | None,
    expect_balance: tuple[str, ...],
    heat_release: str | None,
    rabbitmq_release: str | None,
    database_connections: int | None,
    form: str,
    output: Path | None,
    patch: Path | None,
    run: Path | None,
    check_with_haproxy: bool,
    resolve: bool,
) -> int:
    """Find mistakes in HAProxy's and Heat's configuration before any load runs.

    FILES are HAProxy configurations, heat.conf files (as HOST=FILE if the name does not have the host), or
    one deployment.toml that names them. docs/reference/audit.md explains each rule.

    Exit status: 0 nothing found, or only notes; 1 an error or a warning is not waived; 2 the files cannot
    be used.
    """
    from calorimeter.config import wanted
    from calorimeter.config.audit import audit as judge
    from calorimeter.config.describe.engine_hosts import named_engine

    inputs, waive = _inputs(files, proxies, heat_confs)
    inputs = _adjusted(
        inputs,
        sections=_sections(rest_section, cfn_section),
        urls={"rest": rest_url, "cfn": cfn_url},
        resolve=resolve,
        engines=frozenset(named_engine(text)[0] for text in engines) or None,
        max_detection_s=max_detection,
        **wanted.options(expect_balance, heat_release, rabbitmq_release),
        database_connections=database_connections,
        ask_haproxy=frozenset(name for name, _ in inputs.proxies) if check_with_haproxy else None,
    )
    report = judge(inputs, waive)
    if inputs.ask_haproxy:
        from calorimeter.config.audit.haproxy_messages import with_haproxy_messages

        report = with_haproxy_messages(report, inputs)
    _write_report(report, form, output)
    if patch:
        from calorimeter.config.audit import corrected
        from calorimeter.config.audit import patch as difference
        from calorimeter.core.files import write

        write(patch, difference(inputs, corrected(inputs, waive)), mode=0o600)
    if run:
        _write_verdicts(report, run)
    return report.status


def _inputs(
    files: tuple[str, ...], proxies: tuple[str, ...], heat_confs: tuple[str, ...]
) -> tuple[Inputs, dict[str, str]]:
    from calorimeter.config import named_files
    from calorimeter.core.deployment import read

    named = [file for file in files if file.endswith(".toml")]
    if not named:
        return named_files.from_files(proxies, heat_confs, files), {}
    if len(files) > 1 or proxies or heat_confs:
        raise InputError(named[0], "is given with other files", "valid: deployment.toml alone, or files")
    deployment = read(Path(named[0]))
    return named_files.from_deployment(deployment), deployment.waive


def _adjusted(
    inputs: Inputs,
    *,
    sections: dict[str, str],
    urls: dict[str, str | None],
    resolve: bool,
    asked: tuple[str | None, ...] = (),
    **options: Any,
) -> Inputs:
    from calorimeter.config import named_files
    from calorimeter.config.audit.secrets_in_files import secrets_hidden

    inputs = replace(
        inputs,
        sections={**inputs.sections, **sections},
        fronts={**inputs.fronts, **named_files.fronts(urls)},
    )
    if resolve:
        from calorimeter.commands import name_resolution

        inputs = name_resolution.with_addresses(inputs, asked)
    with secrets_hidden(inputs):
        named_files.require_apis(inputs)
    return named_files.with_options(inputs, **options)


_OF_AN_AUDIT = re.compile(rb'\A\{\s*"(schema_version|\$schema)"|\d+ files?\.\n\Z')


def _write_report(report: AuditReport, form: str, output: Path | None) -> None:
    from calorimeter.config.audit import output as machine
    from calorimeter.config.audit import report_text
    from calorimeter.core import files as stored

    text = {"text": report_text.text, "json": machine.as_json, "sarif": machine.sarif}[form](report)
    # Bytes of a file that are not UTF-8 were read without loss; a report shows them as �.
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if output:
        stored.refuse_other(output, _OF_AN_AUDIT, "a report of an audit")
        stored.write(output, text)
    else:
        click.echo(text, nl=False)


def _write_verdicts(report: AuditReport, run: Path) -> None:
    from calorimeter.config.audit.judgement import verdicts
    from calorimeter.core import verdict

    if not (run / "run.json").exists():
        raise InputError(str(run), "is not a run folder (it has no run.json)")
    verdict.add(verdicts(report), run / "verdicts.json")


@click.command()
@_of_files
@click.option("-o", "--output", type=FILE, default=Path("deployment.toml"), show_default=True,
              help="File to write; passwords go to NAME.secrets.toml beside it.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace existing files (default: refuse).")
@click.option("--name", default="heat", show_default=True, help="Name of the deployment in reports.")
@click.option("--stats", multiple=True, metavar="URL", help="Stats socket or page of the proxy: "
              "unix:///run/haproxy.sock, tcp://HOST:PORT, http://HOST:PORT/stats.")  # fmt: skip
@click.option("--log", "logs", multiple=True, metavar="URL",
              help="Source of the proxy's log: udp://HOST:PORT or file:///PATH.")  # fmt: skip
@click.option("--keepalived", multiple=True, metavar="[NAME=]FILE",
              help="keepalived.conf of a proxy that shares its address with others.")  # fmt: skip
@click.option("--management-url", "management_urls", multiple=True, metavar="URL",
              help="URL of RabbitMQ's management API; may be repeated, for each node.")  # fmt: skip
@click.option(
    "--engine-workers",
    type=NumberParam(bounds.PROCESSES),
    help="Worker processes of each engine (default: num_engine_workers of heat.conf).",
)
@click.option("--cloud", envvar="OS_CLOUD", metavar="NAME",
              help="Cloud of clouds.yaml whose account the suite uses; envvars: OS_* (default: $OS_CLOUD, "
              "or --auth-url, --username, --password-env and --project).")  # fmt: skip
@click.option("--clouds-file", type=FILE,
              help="File with the clouds (default: the clouds.yaml that `openstack` finds).")  # fmt: skip
@click.option(
    "--max-detection",
    "max_detection_s",
    type=DurationParam(),
    help="Time in which a failed API must be detected (default: none).",
)
@click.option(
    "--max-recovery",
    "max_recovery_s",
    type=DurationParam(),
    help="Time in which a healed API must serve (default: none).",
)
@click.option(
    "--max-failover",
    "max_failover_s",
    type=DurationParam(),
    help="Time in which a virtual address must leave a dead proxy (default: none).",
)
@click.option(
    "--auth-url", envvar="OS_AUTH_URL", metavar="URL", help="URL of Keystone (default: $OS_AUTH_URL)."
)
@click.option(
    "--username", envvar="OS_USERNAME", metavar="NAME", help="User of the suite (default: $OS_USERNAME)."
)
@click.option("--password-env", default="OS_PASSWORD", show_default=True, metavar="VARIABLE",
              help="Environment variable that will hold the user's password.")  # fmt: skip
@click.option("--project", envvar="OS_PROJECT_NAME", metavar="NAME",
              help="Project of the suite (default: $OS_PROJECT_NAME).")  # fmt: skip
@click.option("--user-domain", envvar="OS_USER_DOMAIN_NAME", default="Default",
              show_default=True, help="Keystone domain of the user.")  # fmt: skip
@click.option("--project-domain", envvar="OS_PROJECT_DOMAIN_NAME", default="Default",
              show_default=True, help="Keystone domain of the project.")  # fmt: skip
@click.option("--region", envvar="OS_REGION_NAME", metavar="NAME",
              help="Region of Heat (default: $OS_REGION_NAME, or none).")  # fmt: skip
@click.option("--ca-file", type=FILE, help="CA certificates that verify the proxy's certificate.")
@click.option("--consent", type=click.Choice([str(level) for level in Consent]), default="passive",
              show_default=True, help="Consent level: how far the suite may go.")  # fmt: skip
@click.option("--control", "driver", type=click.Choice(get_args(Driver)),
              help="Driver that writes the commands for faults of parts (default: none).")  # fmt: skip
@click.option("--ssh", metavar="DESTINATION",
              help="Destination of a part's host, as root@{host} (default: this machine).")  # fmt: skip
def describe(
    proxies: tuple[str, ...],
    heat_confs: tuple[str, ...],
    rest_section: str | None,
    cfn_section: str | None,
    output: Path,
    force: bool,
    consent: str,
    resolve: bool,
    **answers: Any,
) -> int:
    """Write a deployment.toml from HAProxy's and Heat's configuration.

    Each value that the files do not have is named with the option that gives it, and is a comment in the
    file. Passwords go to a file of mode 600 beside it. docs/how-to/your-deployment.md has the command for
    the files of each deployment tool.

    Exit status: 0 the file is written; 2 the files cannot be used.
    """
    from calorimeter.commands.cloud_answers import with_cloud
    from calorimeter.config import named_files
    from calorimeter.config.describe import described_files
    from calorimeter.config.describe.owner_answers import Answers

    if not proxies:
        raise InputError("describe", "no --proxy given", "valid: --proxy FILE, HAProxy's configuration")
    inputs = named_files.from_files(proxies, heat_confs)
    owner = with_cloud(Answers(consent=Consent(consent), **answers))
    inputs = _adjusted(
        inputs,
        sections=_sections(rest_section, cfn_section),
        urls={},
        resolve=resolve,
        asked=(owner.keystone_url, owner.rest_url, owner.cfn_url),
    )
    described = described_files.write(inputs, owner, output, force=force)
    for line in _described(described):
        click.echo(line, err=True)
    path = shlex.quote(str(output))
    check = f"; calorimeter control check {path}" if owner.driver else ""
    click.echo(f"{output} is written\nnext: calorimeter audit {path}; calorimeter doctor {path}{check}")
    return 0


def _described(described: Description) -> Iterator[str]:
    """What is missing, what was chosen, and the command that gives all missing values."""
    from calorimeter.core import wrapping

    for missing in described.missing:
        yield from wrapping.sentence(f"missing: {missing.key}: {missing.what}; give {missing.option}")
    for note in described.notes:
        yield from wrapping.sentence(f"note: {note}")
    given_by = (missing.option.partition(", or ")[0] for missing in described.missing)
    options = [option for option in given_by if option.startswith("--")]
    if options:
        given = [word for word in sys.argv[2:] if word != "--force"]
        yield "with all of them (put your values in):"
        yield from wrapping.command(["calorimeter", "describe", *given], [*options, "--force"])


@click.command()
@click.argument("topology", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder to write.")
@click.option("--force", is_flag=True, help="Replace existing files (default: refuse).")
def generate(topology: Path, output: Path, force: bool) -> int:
    """Write apis-proxy.conf and the heat.conf of every host of TOPOLOGY, a TOML file of a few lines.

    \b
    proxy = "10.0.0.1"
    [[hosts]]
    name = "B"
    address = "10.0.0.2"      # default: rest = 1, cfn = 1, engines = 1

    For several proxies use [[proxies]] and virtual_address instead of proxy; for several brokers, brokers;
    for TLS, [tls] certificate. See docs/explanation/scaling-heat.md.

    Passwords that TOPOLOGY does not refer to are generated and kept in secrets.toml of the folder; a
    second call uses them again. Files with passwords have mode 600.

    Exit status: 0 the files are written; 2 the topology cannot be used.
    """
    from calorimeter.config.generate.generated_folder import write

    for line in write(topology, output, force=force):
        click.echo(line)
    return 0
