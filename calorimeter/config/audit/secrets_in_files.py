"""Finds the secrets in HAProxy's and Heat's files, also in continued, unreadable and commented lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from calorimeter.config.audit.subject import Inputs
from calorimeter.config.haproxy.refused_lines import KEYWORDS
from calorimeter.config.heat import known_options
from calorimeter.core.errors import InputError
from calorimeter.core.secrecy import haproxy_secrets, secret_text
from calorimeter.core.secrecy.masking import SECRET_NAME, SecretValues, basic, classified

_ENTRY = re.compile(r"[#;\s]*([\w.-]+)\s*[=:]\s*(.*)", re.DOTALL)
_ASSIGNMENT = re.compile(r"^[#;]?\s?[a-z_]+ *=", re.MULTILINE)
_LOGIN = re.compile(r"[^:@]*:[^@]*@")
_URL_MARKS = re.compile(r"[/@:?#,&\s]")
_REFERENCE = re.compile(r"\$\{?([\w.]+)\}?")


def secrets_in(inputs: Inputs) -> SecretValues:
    """The secrets in the files, and in the variables that HAProxy would read with a secret's name."""
    heat = [text for process in inputs.heat for _, text in process.files]
    proxy = [text for _, files in inputs.proxies for _, text in files]
    found: set[str] = set()
    for text in dict.fromkeys((*heat, *(text for text in proxy if _ASSIGNMENT.search(text)))):
        found.update(_in_heat(text))  # a Heat file that was given as the proxy's has secrets, too
    for text in dict.fromkeys(proxy):
        found.update(haproxy_secrets.values(text, inputs.environment))
        found.update(basic(*login) for login in haproxy_secrets.logins(text, inputs.environment))
        found.update(value for line in text.split("\n") for value in _in_url(line))
    found.update(value for name, value in inputs.environment.items() if SECRET_NAME.search(name))
    return classified(found - _statements(proxy), (*heat, *proxy))


def _statements(texts: Iterable[str]) -> set[str]:
    """The lines of HAProxy, which continue no value of a Heat file that stands before them."""
    lines = (line.strip() for text in texts for line in text.split("\n"))
    return {line for line in lines if " " in line and line.split()[0] in KEYWORDS}


@contextmanager
def secrets_hidden(inputs: Inputs) -> Iterator[None]:
    """Hide the secrets of the files in the message of an InputError."""
    try:
        yield
    except InputError as problem:
        hide = secrets_in(inputs).hide_in_sentence
        nearest = hide(problem.nearest) if problem.nearest else None
        raise InputError(hide(problem.where), hide(problem.given), hide(problem.valid), nearest) from None


def _in_heat(text: str) -> Iterator[str]:
    entries = list(_entries(text))
    referenced: set[str] = set()
    for name, lines in entries:
        secret = _is_secret(name)
        values = list(_texts(lines) if secret else _in_urls(lines))
        yield from values
        referenced.update(key for value in values for key in _REFERENCE.findall(value))
    for line in text.split("\n"):
        if not _ENTRY.fullmatch(line.rstrip()):
            yield from haproxy_secrets.values(line)
    keys = {key.rpartition(".")[2] for key in referenced}
    for name, lines in entries:
        if name in keys:
            yield from _texts(lines)


@cache
def _secret_keys() -> frozenset[str]:
    return frozenset(key for key in known_options.known_keys() if SECRET_NAME.search(key))


def _is_secret(name: str) -> bool:
    """Whether an option is a secret by its name, or by the name that was probably meant."""
    if name.endswith(("_file", "_ttl", "_time")):
        return False
    return bool(SECRET_NAME.search(name) or (name and known_options.almost(name, _secret_keys())))


def _entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every `name = value`, commented out or not, with the lines that continue it; other lines nameless."""
    name, lines = "", list[str]()
    for line in text.split("\n"):
        continued = re.match(r"(?:[#;]\s|\s)\s+\S|\s+\S", line)
        entry = _ENTRY.fullmatch(line.rstrip())
        if continued and lines:
            lines.append(line.strip())
        if entry and continued:
            yield entry[1], [entry[2]]  # a value continued by what was meant as an assignment
        if not continued:
            if lines:
                yield name, lines
            name, lines = (entry[1], [entry[2]]) if entry else ("", [line.strip()])
    if lines:
        yield name, lines


def _texts(lines: list[str]) -> Iterator[str]:
    """A value as Heat may read it, and the part of it in each line."""
    parts = [part.strip().strip("\"'") for part in lines]
    yield from {"".join(parts), "\n".join(parts), *(part for part in parts if len(part) > 3)}


def _in_urls(lines: list[str]) -> Iterator[str]:
    """The passwords of the URLs in a value, and the part of them in each line."""
    for whole in {"".join(lines), *lines}:
        yield from _in_url(whole)
    if len(lines) > 1:
        for value in _in_url("\n".join(lines)):
            yield from (part for part in value.split("\n") if len(part) > 3)


def _in_url(text: str) -> Iterator[str]:
    _, *urls = text.split("://")
    for url in urls:
        for chunk in {url, url.split()[0] if url.split() else "", url.partition("/")[0]}:
            parts = chunk.split(",")  # of a transport_url with several hosts; a password may have commas
            several = len(parts) > 1 and all(_LOGIN.match(part) for part in parts)
            for part in parts if several else (chunk, *parts):
                credentials, at, _ = part.rpartition("@")
                user, colon, password = credentials.partition(":")
                if at and colon and password:
                    yield password
                    # A password that should have been quoted ends there for whoever reads the URL.
                    pieces = _URL_MARKS.split(password) if len(chunk.split()) == 1 else []
                    yield from (piece for piece in pieces if len(piece) > 5)
                    yield basic(user, password)
        yield from (url[start:end] for start, end in secret_text.of_queries(url))
