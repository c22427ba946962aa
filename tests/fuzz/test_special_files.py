"""A pipe, a device, a loop, an endless or unreadable file: every command says so in one line, soon."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from tests.every_command import commands
from tests.fuzz import campaign, special_files
from tests.fuzz.case import Case, faults
from tests.fuzz.case_runner import CaseRunner
from tests.fuzz.deployment_files import FILES, VALID
from tests.fuzz.scenario_files import WITH_TEMPLATE
from tests.places import CLONE

SPECIAL = "sp\x1b[31m"
"""A name with an escape sequence, which must not reach the terminal."""

LINES = """
audit {}.conf haproxy.cfg
audit --proxy {} --no-resolve
audit --proxy haproxy.cfg --heat-conf B={}
audit {}.toml
audit haproxy.cfg --no-resolve -o {} --patch {}
audit haproxy.cfg --no-resolve --run {}
describe --proxy {} -o out.toml
describe --proxy haproxy.cfg --heat-conf B={} -o out.toml
describe --proxy haproxy.cfg -o {} --force --no-resolve
describe --proxy haproxy.cfg --cloud x --clouds-file {} -o out.toml --no-resolve
describe --proxy haproxy.cfg --ca-file {} -o out.toml --no-resolve
generate {}
generate t.toml -o {}
lab up --haproxy {}
lab up --rabbitmq {}
run ./{}.toml
run {}/x
run first-mix --deployment {}
run first-mix --runs {} --repeat 2
run first-mix --against {}.toml
clean {}
clean run --deployment {}
balance {}
trace {}.toml -- true
trace {} req-1
trace {}
trace --runs {} deployment.toml -- true
trace run --otlp {}
control check {}
doctor {}
verify {} --gates A
verify deployment.toml --gates x --runs {}
verify --run {} --gates T
verify --run run --gates T --baseline {}
verify --run run --gates T4 --history {}
verify --run run --gates T1 --summary {}
verify --run run --gates T1 --junitxml {}
upgrade --deployment {} --to 25
upgrade --deployment deployment.toml --to 25 --procedure {}.toml
upgrade --deployment deployment.toml --resume {}
upgrade --deployment deployment.toml --to 25 --yes-break-it --runs {}
fault {} --fault rest-1:kill@0s+1s
fault deployment.toml --schedule {} --yes-break-it
report {}
report run --output {}
compare {} run
compare run --baseline {}
compare run run --output {} --record {}
export {} --format jsonl
export run --format jsonl -o {}
export run --format har -o {}
export run --format hdr -o {}
export run --format junit -o {}
export run --format sarif -o {}
export run --format otlp -o {}
export run --format otlp-metrics -o {}
history {}
history . --output {}
history . --record {} --run run
history . --run {}
capacity {}.toml
capacity capacity-mix --deployment {}
capacity capacity-mix --runs {}
scale {}.toml --engines 1,2,4
scale engine-wait --engines 1,2,4 --deployment {} --runs {}
watch {}
watch run --deployment {}
watch {} --web
watch --web --deployment {}
watch --web --deployment deployment.toml --runs {}
benchmarks {}
guide-against-correction --runs {}
releases --plan --folder {}
"""
"""Every place of a path in a command line."""

INSIDE = {
    "deployment.toml": ("haproxy.cfg", "heat.conf", "deployment.secrets.toml", "clouds.yaml", "ca.pem"),
    "s.toml": ("own.yaml",),
}
"""Files that a file names."""

OF_SCENARIO = ("run ./s.toml",)
OF_DEPLOYMENT = (
    "audit deployment.toml --no-resolve",
    "doctor deployment.toml",
    "clean run --within 1s",
    "control check deployment.toml",
)
"""Commands that read such a file."""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseRunner]:
    """A case server with whole run folders."""
    with CaseRunner(campaign.whole_folders(tmp_path_factory.mktemp("whole"))) as started:
        yield started


def files() -> dict[str, bytes]:
    """A valid file of each kind."""
    topology = CLONE / "tests" / "data" / "field" / "g01-generate" / "topo-vip.toml"
    return {**FILES, "deployment.toml": VALID, "s.toml": WITH_TEMPLATE, "t.toml": topology.read_bytes()}


def broken(runner: CaseRunner, case: Case) -> list[object]:
    """The promises that a case breaks, with its line and the end of what it said."""
    ended = runner.run(case)
    found = faults(case, ended)
    if ended.cpu_s > 8:
        found = (*found, f"{ended.cpu_s} s")
    return (
        [(case.words, *case.special.values(), found, ended.err[-900:].decode("utf-8", "replace"))]
        if found
        else []
    )


def test_every_path_of_a_command_is_in_the_table() -> None:
    """Each parameter that click knows as a path occurs in `LINES`."""
    lines = [line.split() for line in LINES.strip().splitlines()]
    missing = set()
    for words, command in commands().items():
        of_command = [line[len(words) :] for line in lines if tuple(line[: len(words)]) == words]
        for param in command.params:
            if not isinstance(param.type, click.Path):
                continue
            names = [*param.opts, *param.secondary_opts] if isinstance(param, click.Option) else []
            given = any(set(names) & set(line) for line in of_command) if names else bool(of_command)
            if not given:
                missing.add((*words, param.name))
    assert missing == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", special_files.KINDS)
def test_a_path_that_is_no_plain_file(runner: CaseRunner, kind: str) -> None:
    """In every place of a command line: an end in time, and one line if it cannot be used."""
    found: list[object] = []
    for line in LINES.strip().splitlines():
        words = tuple(word.format(SPECIAL) for word in line.split())
        names = {word.partition("=")[2] or word for word in words if SPECIAL in word}
        special = {name.removeprefix("./").partition("/x")[0]: kind for name in names}
        found += broken(runner, Case("special", words, files(), run="run", special=special))
    assert not found, "\n".join(map(str, found))


@pytest.mark.slow
@pytest.mark.parametrize("kind", special_files.KINDS)
def test_a_named_file_that_is_no_plain_file(runner: CaseRunner, kind: str) -> None:
    """The same for the files that a deployment file and a scenario name."""
    more = b'[tls]\nca_file = "ca.pem"\nverify = true\n'
    deployment = VALID.replace(b"[tls]\nverify = false\n", more).replace(
        b"[[tenants]]\nauth_url",
        b'[[tenants]]\ncloud = "x"\nclouds_file = "clouds.yaml"\n[[tenants]]\nauth_url',
    )
    found: list[object] = []
    for name, inside in INSIDE.items():
        given = {**files(), "deployment.toml": deployment}
        lines = OF_SCENARIO if name == "s.toml" else OF_DEPLOYMENT
        for line in lines:
            for special in inside:
                found += broken(
                    runner, Case("special", tuple(line.split()), given, run="run", special={special: kind})
                )
    assert not found, "\n".join(map(str, found))
