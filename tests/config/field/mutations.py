"""The field cases as they may also stand in the wild: mutated at random, with secrets of a known form.

A mutation is made from a number, so that `mutated(4711)` is the same files again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from urllib.parse import quote

from calorimeter.config.audit import HeatFiles, Inputs
from tests.config.field.cases import NAMES, case

Lines = list[str]


@dataclass(frozen=True, slots=True)
class MutatedCase:
    """Mutated files; `secrets` are parts of the secrets in them, none of which may ever be shown."""

    number: int
    inputs: Inputs
    secrets: tuple[str, ...]


def mutated(number: int) -> MutatedCase:
    """The mutated case of a number."""
    rng = Random(number)
    inputs = _files(rng)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        inputs = rng.choice(_OF_FILES)(rng, inputs) if rng.random() < 0.2 else _edited(rng, inputs)
    planted = _Planter(rng)
    inputs = inputs.with_texts({name: planted.plant(name, text) for name, text in inputs.texts.items()})
    for _ in range(rng.choice((0, 0, 1))):
        name, text = rng.choice(list(inputs.texts.items()))
        inputs = inputs.with_texts({name: rng.choice(_OF_WHOLE)(text)})
    return MutatedCase(number, inputs, tuple(planted.secrets))


@cache
def _case_inputs(name: str) -> Inputs:
    inputs = case(name).inputs()
    folder = f"{case(name).folder}/"

    def near(files: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((file.removeprefix(folder), text) for file, text in files)

    return replace(
        inputs,
        proxies=tuple((proxy, near(files)) for proxy, files in inputs.proxies),
        heat=tuple(replace(process, files=near(process.files)) for process in inputs.heat),
        environment={},
    )


def _files(rng: Random) -> Inputs:
    """The files of one case, or the proxy of one and the Heat files of another."""
    inputs = _case_inputs(rng.choice(NAMES))
    if rng.random() < 0.15:
        other = _case_inputs(rng.choice(NAMES))
        names = {name for _, files in inputs.proxies for name, _ in files}
        heat = tuple(p for p in other.heat if names.isdisjoint(name for name, _ in p.files))
        inputs = replace(inputs, heat=heat)
    return inputs


def _edited(rng: Random, inputs: Inputs) -> Inputs:
    """One file with some of its lines changed."""
    name, text = rng.choice(list(inputs.texts.items()))
    lines = text.split("\n")
    if lines:
        rng.choice(_OF_LINES)(rng, lines)
    return inputs.with_texts({name: "\n".join(lines)})


def _at(rng: Random, lines: Lines) -> int:
    return rng.randrange(len(lines))


def _drop(rng: Random, lines: Lines) -> None:
    del lines[_at(rng, lines)]


def _repeat(rng: Random, lines: Lines) -> None:
    lines.insert(rng.randint(0, len(lines)), lines[_at(rng, lines)])


def _reorder(rng: Random, lines: Lines) -> None:
    lines.insert(rng.randint(0, len(lines) - 1), lines.pop(_at(rng, lines)))


def _comment(rng: Random, lines: Lines) -> None:
    at = _at(rng, lines)
    lines[at] = rng.choice(("#", "# ", "  # ", ";")) + lines[at]


def _comment_at_end(rng: Random, lines: Lines) -> None:
    lines[_at(rng, lines)] += " # why"


def _indent(rng: Random, lines: Lines) -> None:
    at = _at(rng, lines)
    lines[at] = rng.choice(("", " ", "\t", "    ")) + lines[at].lstrip()


def _change_case(rng: Random, lines: Lines) -> None:
    at = _at(rng, lines)
    lines[at] = rng.choice((str.upper, str.lower, str.title))(lines[at])


def _change_number(rng: Random, lines: Lines) -> None:
    number = rng.choice(("0", "1", "3", "60", "8000", "8004", "99999", "-1", ""))
    at = _at(rng, lines)
    lines[at] = re.sub(r"\b\d+\b", number, lines[at], count=1)


def _rename(rng: Random, lines: Lines) -> None:
    """Change one word in a line, or in the whole file."""
    words = re.findall(r"[A-Za-z_][\w.-]+", lines[_at(rng, lines)])
    if not words:
        return
    word = rng.choice(words)
    at = rng.randrange(len(word))
    new = rng.choice((word + "x", word[:at] + word[at + 1 :], word[::-1], "heat", "n1"))
    everywhere = rng.random() < 0.5
    for index, line in enumerate(lines):
        if word in line:
            lines[index] = line.replace(word, new)
            if not everywhere:
                return


def _into_condition(rng: Random, lines: Lines) -> None:
    first, last = sorted((_at(rng, lines), _at(rng, lines)))
    condition = rng.choice(("1", "0", "defined(X)", "version_atleast(2.4)"))
    lines[first : last + 1] = [f".if {condition}", *lines[first : last + 1], ".endif"]


def _add(rng: Random, lines: Lines) -> None:
    lines.insert(rng.randint(0, len(lines)), rng.choice(_ADDED))


def _sections(lines: Lines) -> list[tuple[int, int]]:
    heads = r"(?:global|defaults|listen|frontend|backend|userlist|peers)\b|\["
    starts = [n for n, line in enumerate(lines) if re.match(heads, line)]
    return list(zip(starts, [*starts[1:], len(lines)], strict=False))


def _section(rng: Random, lines: Lines) -> None:
    """Drop, repeat or move a section."""
    sections = _sections(lines)
    if not sections:
        return
    start, end = rng.choice(sections)
    body = lines[start:end]
    action = rng.choice(("drop", "repeat", "move", "rename"))
    if action in ("drop", "move"):
        del lines[start:end]
    if action == "rename":
        lines[start] = re.sub(r"\w+(?=\]?\s*$)", "other", lines[start])
    elif action != "drop":
        to = rng.choice([0, *(first for first, _ in _sections(lines)), len(lines)])
        lines[to:to] = body


def _shuffle(rng: Random, lines: Lines) -> None:
    """Put the lines of a section in another order."""
    sections = _sections(lines)
    if sections:
        start, end = rng.choice(sections)
        body = lines[start + 1 : end]
        rng.shuffle(body)
        lines[start + 1 : end] = body


_ADDED = [
    "[DEFAULT]",
    "[default]",
    "[oslo_messaging_rabbit]",
    "host = heat",
    "hostname = one",
    "num_engine_workers = 2",
    "bind_host = 0.0.0.0",
    "sql_connection = mysql://heat@localhost/heat",
    "rabbit_host = 10.0.0.1",
    "rabbit_quorum_queue = true",
    "rpc_response_timeout = 600",
    "transport_url = rabbit://10.0.0.1:5672,",
    "    continued = 1",
    "nonsense",
    "defaults",
    "backend heat_api",
    "listen heat_api",
    "    mode http",
    "    balance leastconn",
    "    option httplog",
    "    option tcplog",
    "    option httpchk GET /healthcheck",
    "    default-server inter 1s check",
    "    server n9 10.0.0.11:8004 check",
    "    server n9 heat9.example.com:8004",
    "    server-template t 1-3 heat:8004 check",
    "    bind :8004",
    "    bind *:8000 ssl crt /etc/x.pem",
    "    timeout server 1m",
    "    timeout check 10s",
    "    http-request deny if { src 10.9.9.9 }",
    "    stick-table type ip size 1m",
    "    no option tcpka",
    "    log global",
    "    disabled",
]

_OF_LINES: tuple[Callable[[Random, Lines], None], ...] = (
    _drop,
    _drop,
    _repeat,
    _reorder,
    _comment,
    _comment_at_end,
    _indent,
    _change_case,
    _change_number,
    _rename,
    _into_condition,
    _add,
    _add,
    _section,
    _section,
    _shuffle,
)


def _split_proxy(rng: Random, inputs: Inputs) -> Inputs:
    """Split a file of the proxy in two, at a section or anywhere."""
    proxies = []
    for proxy, files in inputs.proxies:
        at = rng.randrange(len(files))
        name, text = files[at]
        lines = text.split("\n")
        cut = (
            rng.choice([start for start, _ in _sections(lines)] or [0])
            if rng.random() < 0.8
            else _at(rng, lines)
        )
        parts = ((f"0-{name}", "\n".join([*lines[:cut], ""])), (f"1-{name}", "\n".join(lines[cut:])))
        proxies.append((proxy, (*files[:at], *parts, *files[at + 1 :])))
    return replace(inputs, proxies=tuple(proxies))


def _split_heat(rng: Random, inputs: Inputs) -> Inputs:
    """Give a Heat process a second file, with some of the lines of its first."""
    if not inputs.heat:
        return inputs
    at = rng.randrange(len(inputs.heat))
    process = inputs.heat[at]
    (name, text), *more = process.files
    starts = [start for start, _ in _sections(text.split("\n"))] or [0]
    cut = rng.choice(starts)
    lines = text.split("\n")
    files = (
        (name, "\n".join([*lines[:cut], ""])),
        (f"{process.host}-more.conf", "\n".join(lines[cut:])),
        *more,
    )
    return replace(inputs, heat=(*inputs.heat[:at], replace(process, files=files), *inputs.heat[at + 1 :]))


def _copy_process(rng: Random, inputs: Inputs) -> Inputs:
    """Add a Heat process on another host: a copy of one that is there."""
    if not inputs.heat:
        return inputs
    process = rng.choice(inputs.heat)
    files = tuple((f"copy-{name.replace('/', '-')}", text) for name, text in process.files)
    return replace(inputs, heat=(*inputs.heat, HeatFiles(rng.choice(("copy", process.host)), files)))


def _drop_process(rng: Random, inputs: Inputs) -> Inputs:
    return replace(inputs, heat=tuple(rng.sample(inputs.heat, max(0, len(inputs.heat) - 1))))


_OF_FILES = (_split_proxy, _split_heat, _copy_process, _drop_process)
_OF_WHOLE: tuple[Callable[[str], str], ...] = (
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.rstrip("\n"),
    lambda text: text.replace("\n", " # caf\udce9\n", 1),
    lambda text: text.replace("\n\n", "\n \x0c\n"),
    lambda text: text.replace(" ", "  "),
)


class _Planter:
    """Replaces the secrets of files by new ones, and adds some where secrets may also stand."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.secrets: list[str] = []

    def _new(self) -> str:
        """A secret of two parts that can be recognized, with something between them that may be quoted."""
        parts = ["".join(self.rng.choices("bcdfghjkmnpqrstvwxz2456789", k=9)) for _ in range(2)]
        self.secrets += parts
        return self.rng.choice(("", "", "-", "@", "/", "%", "$$", "&", "é", "+", ":", "'")).join(parts)

    def _in_url(self) -> str:
        return quote(self._new(), safe=self.rng.choice(("", "/", "+")))

    def plant(self, name: str, text: str) -> str:
        text = re.sub(r"(://[^:/@\s]*:)[^@/\s,]+(?=@)", lambda match: match[1] + self._in_url(), text)
        text = re.sub(
            r"^(\s*\w*(?:password|encryption_key)\s*=\s*)\S.*$",
            lambda match: match[1] + self._new(),
            text,
            flags=re.MULTILINE,
        )
        text = re.sub(r"(stats auth \w+:)\S+", lambda match: match[1] + self._word(), text)
        lines = text.split("\n")
        proxy = bool(re.search(r"^(global|defaults|listen|frontend|backend)\b", text, re.MULTILINE))
        for _ in range(self.rng.choice((0, 1, 2))):
            at = self.rng.randint(0, len(lines))
            lines[at:at] = self._proxy_lines() if proxy else self._heat_lines()
        return "\n".join(lines)

    def _word(self) -> str:
        return re.sub(r"[$'\s#\"\\]", "_", self._new())

    def _proxy_lines(self) -> Lines:
        word = self._word()
        return self.rng.choice(
            (
                [f"    stats auth admin:{word}"],
                [f"    # stats auth admin:{word}"],
                [f"    setenv STATS_PASSWORD {word}", "    option httplog"],
                ["userlist ops", f"    user op insecure-password {word}"],
                [f"    http-request set-header X-Auth-Token {word}"],
                [f"    http-check send meth GET uri /healthcheck hdr Authorization {word}"],
                [f"    option httpchk GET / HTTP/1.1\\r\\nAuthorization:\\ Bearer\\ {word}"],
                [f"    # see http://op:{word}@10.0.0.1/"],
            )
        )

    def _heat_lines(self) -> Lines:
        url = self._in_url()
        return self.rng.choice(
            (
                [
                    "transport_url = rabbit://heat:" + url + "@10.0.0.1:5672,",
                    f"    heat:{url}@10.0.0.2:5672/v",
                ],
                ["transport_url = rabbit://", f"    heat:{url}@10.0.0.1:5672/heat"],
                ["transport_url = rabbit://h:5672/heat", f"  # old: rabbit://heat:{url}@10.0.0.99/"],
                [f"#connection = mysql://heat:{url}@h/heat"],
                [f"rabbit_password = {self._new()}"],
                [f"# rabbit_password={self._new()}"],
                ["[ec2authtoken]", f"password = {self._new()}"],
                [f"sql_connection = mysql://heat:{url}@10.0.0.1/heat?charset=utf8"],
            )
        )
