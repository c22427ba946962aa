"""The commands `describe`, `audit` and `generate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calorimeter.core.deployment import Consent
from calorimeter.core.errors import InputError

if TYPE_CHECKING:
    from calorimeter.config.audit import Inputs, Report

_FILE = click.Path(path_type=Path)


def _of_files(command: Callable[..., int]) -> Callable[..., int]:
    """The options that name files and sections."""
    for option in (
        click.option("--cfn-section", metavar="NAME", help="HAProxy section of the CFN API, if not plain."),
        click.option(
            "--rest-section", metavar="NAME", help="HAProxy section of the REST API, if not plain."
        ),
        click.option(
            "--heat-conf",
            "heat_confs",
            multiple=True,
            metavar="HOST=FILE[,FILE…]",
            help="heat.conf of one process on HOST; several files as with --config-file. Repeat it.",
        ),
        click.option(
            "--proxy",
            "proxies",
            multiple=True,
            type=_FILE,
            help="HAProxy's configuration; repeat it in the order of its -f.",
        ),
    ):
        command = option(command)
    return command


def _sections(rest: str | None, cfn: str | None) -> dict[str, str]:
    return {api: name for api, name in (("rest", rest), ("cfn", cfn)) if name}


@click.command()
@click.argument("files", nargs=-1, metavar="[FILES | deployment.toml]")
@_of_files
@click.option("--rest-url", metavar="URL", help="The REST API as clients know it.")
@click.option("--cfn-url", metavar="URL", help="The CFN API as clients know it.")
@click.option("--engine", "engines", multiple=True, metavar="HOST",
              help="A host that runs heat-engine; repeat it. Default: every Heat file's.")  # fmt: skip
@click.option("--max-detection", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="How soon a failed API must be found; else expect.max_detection_s, or 20.")  # fmt: skip
@click.option("--database-connections", type=click.IntRange(1), metavar="N",
              help="max_connections of the database, for the count of its clients.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text",
              show_default=True, help="What is written.")  # fmt: skip
@click.option("-o", "--output", type=_FILE, help="Write it there instead of to the terminal.")
@click.option("--patch", type=_FILE, help="Write all changes there, for `patch -p1` (mode 600: it may hold "
              "passwords).")  # fmt: skip
@click.option(
    "--run", "run", type=_FILE, help="Add the verdicts of the gates A1 to A12 to this run folder."
)
@click.option("--haproxy/--no-haproxy", default=True, show_default=True,
              help="Ask `haproxy -c` too, where the program is there.")  # fmt: skip
def audit(
    files: tuple[str, ...],
    proxies: tuple[Path, ...],
    heat_confs: tuple[str, ...],
    rest_section: str | None,
    cfn_section: str | None,
    rest_url: str | None,
    cfn_url: str | None,
    engines: tuple[str, ...],
    max_detection: float | None,
    database_connections: int | None,
    form: str,
    output: Path | None,
    patch: Path | None,
    run: Path | None,
    haproxy: bool,
) -> int:
    """Find what is wrong in HAProxy's and Heat's configuration before any load runs.

    FILES are HAProxy configurations, heat.conf files (as HOST=FILE where the name does not say the host),
    or one deployment.toml that names them. docs/reference/audit.md explains each rule.

    Exit status: 0 nothing found, or notes only; 1 an error or a warning is open; 2 the files cannot be
    used.
    """
    from calorimeter.config.audit import audit as judge

    inputs, waive = _inputs(files, proxies, heat_confs)
    inputs = _adjusted(
        inputs,
        sections=_sections(rest_section, cfn_section),
        urls={"rest": rest_url, "cfn": cfn_url},
        engines=frozenset(engines) or None,
        max_detection_s=max_detection,
        database_connections=database_connections,
    )
    report = judge(inputs, waive)
    if haproxy:
        from calorimeter.config.audit.haproxy_messages import with_haproxy_messages

        report = with_haproxy_messages(report, inputs)
    _write_report(report, form, output)
    if patch:
        from calorimeter.config.audit import corrected
        from calorimeter.config.audit import patch as difference
        from calorimeter.core.files import write

        write(patch, difference(inputs, corrected(inputs)), mode=0o600)
    if run:
        _write_verdicts(report, run)
    return report.status


def _inputs(
    files: tuple[str, ...], proxies: tuple[Path, ...], heat_confs: tuple[str, ...]
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
    inputs: Inputs, *, sections: dict[str, str], urls: dict[str, str | None], **options: Any
) -> Inputs:
    from calorimeter.config import named_files

    inputs = replace(
        inputs,
        sections={**inputs.sections, **sections},
        fronts={**inputs.fronts, **named_files.fronts(urls)},
    )
    named_files.require_apis(inputs)
    return named_files.with_options(inputs, **options)


def _write_report(report: Report, form: str, output: Path | None) -> None:
    from calorimeter.config.audit import output as writing
    from calorimeter.core.files import write

    text = {"text": writing.text, "json": writing.as_json, "sarif": writing.sarif}[form](report)
    # Bytes of a file that are no UTF-8 were read so that nothing is lost; a report shows them as �.
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if output:
        write(output, text)
    else:
        click.echo(text, nl=False)


def _write_verdicts(report: Report, run: Path) -> None:
    from calorimeter.config.audit.judgement import verdicts
    from calorimeter.core import verdict

    file = run / "verdicts.json"
    if not (run / "run.json").exists():
        raise InputError(str(run), "is not a run folder (it has no run.json)")
    known = verdict.read(file) if file.exists() else verdict.Verdicts()
    verdict.write(known.merged(verdicts(report)), file)


@click.command()
@_of_files
@click.option("-o", "--output", type=_FILE, default=Path("deployment.toml"), show_default=True,
              help="The file that is written; passwords go to NAME.secrets.toml beside it.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@click.option("--name", default="heat", show_default=True, help="What the deployment is called in reports.")
@click.option("--rest-url", metavar="URL", help="The REST API as clients know it, where the proxy's bind "
              "does not say it.")  # fmt: skip
@click.option("--cfn-url", metavar="URL", help="The CFN API as clients know it, likewise.")
@click.option("--stats", multiple=True, metavar="URL", help="Stats socket or page of the proxy: "
              "unix:///run/haproxy.sock, tcp://HOST:PORT, http://HOST:PORT/stats.")  # fmt: skip
@click.option("--log", "logs", multiple=True, metavar="URL",
              help="Where the proxy's log can be read: udp://HOST:PORT or file:///PATH.")  # fmt: skip
@click.option("--management-url", metavar="URL", help="RabbitMQ's management API.")
@click.option("--engine", "engines", multiple=True, metavar="HOST",
              help="A host that runs heat-engine; repeat it. Default: every --heat-conf.")  # fmt: skip
@click.option("--engine-workers", type=click.IntRange(1), help="Processes of each engine.")
@click.option("--auth-url", envvar="OS_AUTH_URL", metavar="URL", help="Keystone. Also $OS_AUTH_URL.")
@click.option(
    "--username", envvar="OS_USERNAME", metavar="NAME", help="The suite's user. Also $OS_USERNAME."
)
@click.option("--password-env", default="OS_PASSWORD", show_default=True, metavar="VARIABLE",
              help="The environment variable that will hold the user's password.")  # fmt: skip
@click.option("--project", envvar="OS_PROJECT_NAME", metavar="NAME",
              help="The suite's project. Also $OS_PROJECT_NAME.")  # fmt: skip
@click.option("--user-domain", envvar="OS_USER_DOMAIN_NAME", default="Default", show_default=True)
@click.option("--project-domain", envvar="OS_PROJECT_DOMAIN_NAME", default="Default", show_default=True)
@click.option("--region", envvar="OS_REGION_NAME", metavar="NAME")
@click.option("--ca-file", type=_FILE, help="Authorities that vouch for the proxy's certificate.")
@click.option("--consent", type=click.Choice([str(level) for level in Consent]), default="passive",
              show_default=True, help="How far the suite may go.")  # fmt: skip
def describe(
    proxies: tuple[Path, ...],
    heat_confs: tuple[str, ...],
    rest_section: str | None,
    cfn_section: str | None,
    output: Path,
    force: bool,
    consent: str,
    **answers: Any,
) -> int:
    """Write a deployment.toml from HAProxy's and Heat's configuration.

    What the files do not say is asked for by name: each missing thing is one line, with the option that
    gives it, and stands as a comment in the file. Passwords go to a file of mode 600 beside it.

    Exit status: 0 the file is written; 2 the files cannot be used.
    """
    from calorimeter.config import named_files
    from calorimeter.config.describe import described_files
    from calorimeter.config.describe.answers import Answers

    if not proxies:
        raise InputError("describe", "no --proxy given", "valid: --proxy FILE, HAProxy's configuration")
    inputs = named_files.from_files(proxies, heat_confs)
    inputs = _adjusted(inputs, sections=_sections(rest_section, cfn_section), urls={})
    described = described_files.write(
        inputs, Answers(consent=Consent(consent), **answers), output, force=force
    )
    for missing in described.missing:
        click.echo(f"missing: {missing.key}: {missing.what}; give {missing.option}", err=True)
    click.echo(f"{output} is written; next: calorimeter audit {output}")
    return 0


@click.command()
@click.argument("topology", type=_FILE)
@click.option("-o", "--output", type=_FILE, required=True, help="The folder that is written.")
@click.option("--force", is_flag=True, help="Replace files that are there already.")
def generate(topology: Path, output: Path, force: bool) -> int:
    """Write apis-proxy.conf and the heat.conf of every host of TOPOLOGY, a TOML file of a few lines.

    \b
    proxy = "10.0.0.1"
    [[hosts]]
    name = "B"
    address = "10.0.0.2"      # one REST API, one CFN API, one engine: rest, cfn, engines = 1

    Passwords that TOPOLOGY does not refer to are made, and kept in secrets.toml of the folder, where a
    second call finds them again. Files with passwords have mode 600.

    Exit status: 0 the files are written; 2 the topology cannot be used.
    """
    from calorimeter.config.generate.generated_folder import write

    for line in write(topology, output, force=force):
        click.echo(line)
    return 0
