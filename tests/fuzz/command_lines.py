"""Cases of the command line: every command with its own options and arguments, from click's tables."""

from __future__ import annotations

from functools import cache

import click
from hypothesis import strategies as st

from tests.every_command import commands
from tests.fuzz.case import Case
from tests.fuzz.deployment_files import FILES, VALID
from tests.places import CLONE

_PATHS = (
    *(
        "deployment.toml",
        "haproxy.cfg",
        "heat.conf",
        "s.toml",
        "run",
        "run/run.json",
        "run/samples",
        "t.toml",
    ),
    *(
        "missing",
        "missing/x",
        "",
        ".",
        "..",
        "/",
        "out",
        "out/x",
        "a b",
        "-",
        "--",
        "/dev/null",
        "haproxy.cfg/x",
    ),
    *("x" * 300, "x/" * 3000, "\udcff", "\x1b[31mred", "a\nb", "=1+1", "~", "*", "B=heat.conf", "http://x"),
)
_NUMBERS = (
    *(
        "1",
        "2",
        "0",
        "-1",
        "3.5",
        "999999999",
        "9" * 30,
        "9" * 5000,
        "1e400",
        "1e-400",
        "nan",
        "inf",
        "-inf",
        "0x10",
    ),
    *("1_000", "²", "٣", " 1", "1 ", "", "1,2", "1,2,4", ",", "1,,2", "64", "65536", "1.", "true"),
)
_TEXTS = (
    *(
        "",
        "a",
        "first-mix",
        "engine-wait",
        "S1",
        "H1,E",
        "rest-1:kill@0s+1s",
        "rest-*:slow@1m+9999h",
        "a:b@c+d",
    ),
    *(
        "client=2s,server=3s",
        "B=2",
        "B:rest,cfn=heat.conf",
        "lb1=haproxy.cfg",
        "http://127.0.0.1:1/v1",
        "http://[",
        "27",
    ),
    *(
        "1s",
        "0s",
        "90",
        "9" * 400,
        "9" * 400 + "h",
        "1e3s",
        "²s",
        "-1s",
        "engine-1",
        "kill",
        "roundrobin",
        "x" * 5000,
    ),
    *(
        "\udcff",
        "\x1b[31m",
        "a\nb",
        "../..",
        "/",
        "%s",
        "[b]",
        "[/b]",
        "{host}",
        "{host}={host}/heat.conf",
        "é",
        "\u202e",
    ),
)


@cache
@st.composite
def _value(draw: st.DrawFn, param: click.Parameter) -> str:
    """A value of a parameter: mostly of its own kind."""
    kind = param.type
    own = _TEXTS
    if isinstance(kind, click.Choice):
        own = tuple(map(str, kind.choices))
    elif isinstance(kind, click.Path):
        own = _PATHS
    elif isinstance(kind, (click.types.IntParamType, click.types.FloatParamType)) or "," in kind.name:
        own = _NUMBERS
    return draw(st.sampled_from(own if draw(st.integers(0, 9)) else (*_PATHS, *_NUMBERS, *_TEXTS)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A command with some of its options, in a folder with valid files of each kind."""
    words, command = draw(st.sampled_from(sorted(commands().items(), key=lambda item: item[0])))
    line = list(words)
    for param in draw(st.permutations([each for each in command.params if isinstance(each, click.Option)])):
        if not (param.required or draw(st.integers(0, 7)) == 5):
            continue
        name = draw(st.sampled_from([*param.opts, *param.secondary_opts]))
        for _ in range(draw(st.integers(1, 2)) if param.multiple else 1):
            line += [name] if param.is_flag or param.count else [name, draw(_value(param))]
    for param in command.params:
        if isinstance(param, click.Argument):
            most = 3 if param.nargs == -1 else 1
            least = (
                1 if param.required or words == ("benchmarks",) else 0
            )  # without one it would write the clone's
            count = most if draw(st.integers(0, 9)) == 7 else draw(st.integers(least, 1))
            line += [draw(_argument(param)) for _ in range(count)]
    if draw(st.integers(0, 19)) == 13:
        line.insert(
            draw(st.integers(0, len(line))),
            draw(st.sampled_from((*_TEXTS, "--help", "--", "-", "--x", "-o"))),
        )
    if words == ("verify",) and "--gates" not in line:
        line += ["--gates", draw(st.sampled_from(("S1", "A", "T", "H2", "x")))]
    given = tuple(word.replace("\x00", "") for word in line)
    return Case("command_lines", given, _files(), run="run")


@st.composite
def _argument(draw: st.DrawFn, param: click.Parameter) -> str:
    name = (param.metavar or param.name or "").lower()
    own = draw(_value(param))
    if "deployment" in name:
        return draw(st.sampled_from(("deployment.toml", "deployment.toml", own)))
    if "run" in name or "folder" in name:
        return draw(st.sampled_from(("run", "run", "s.toml", own)))
    return own


@cache
def _files() -> dict[str, bytes]:
    scenario = (CLONE / "scenarios" / "first-mix.toml").read_bytes()
    topology = CLONE / "tests" / "data" / "field" / "g01-generate" / "topo-vip.toml"
    return {**FILES, "deployment.toml": VALID, "s.toml": scenario, "t.toml": topology.read_bytes()}
