"""How a frontend chooses a backend: the hosts, paths and ports of its `use_backend` rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.config.haproxy import ProxiedService, ProxySection
from calorimeter.core.bounds import is_digits

_HOSTS = ("hdr(host)", "hdr_dom(host)", "req.hdr(host)", "req_ssl_sni", "req.ssl_sni", "ssl_fc_sni")
_HOST_PARTS = ("hdr_beg(host)", "hdr_end(host)", "hdr_reg(host)", "hdr_sub(host)")
_PATHS = ("path_beg", "path_dir", "path")
_PATH_PARTS = ("path_reg", "path_sub", "base_beg", "base_reg", "url_beg", "url_reg")
_WITH_ARGUMENT = frozenset({"-f", "-m", "-M", "-n"})


@dataclass(frozen=True, slots=True)
class Route:
    """The conditions under which a frontend uses a backend.

    `hosts` and `paths` are those that a request must have. `words` are these and all other texts of the
    conditions, with the names of the ACLs. `ports` are the destination ports. `dynamic` is the expression
    that chooses the backend at run time, empty if the configuration names the backend.
    """

    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    conditional: bool = False
    dynamic: str = ""


def route(service: ProxiedService) -> Route:
    """The conditions under which the front of a service uses its back."""
    front, back = service.front, service.back
    if service.via == "dynamic":
        return Route(conditional=True, dynamic=service.line.words[1] if service.line else "?")
    if service.via != "use_backend":
        return Route()
    named = [use.words for use in front.values.all("use_backend") if use.words[:1] == (back.name,)]
    found: list[tuple[str, ...]] = []
    words: list[str] = []
    conditional = all(len(use) > 1 for use in named)
    for use in named:
        if use[1:2] == ("if",):
            for name, criterion in _conditions(front, use[2:]):
                words.append(name)
                found.append(criterion)
    return _route(found, words, conditional=conditional)


def _route(criteria: list[tuple[str, ...]], names: list[str], *, conditional: bool) -> Route:
    hosts: list[str] = []
    paths: list[str] = []
    words = list(names)
    ports: list[int] = []
    for criterion in criteria:
        method, values = _values(criterion)
        fetch = criterion[0].lower().partition(",")[0]
        if fetch in _HOSTS and method in ("", "str"):
            hosts.extend(values)
        elif fetch in _PATHS and method in ("", "str", "beg", "dir"):
            paths.extend(values)
        elif fetch == "dst_port":
            ports.extend(int(value) for value in values if is_digits(value) and len(value) < 6)
        if fetch in (*_HOSTS, *_HOST_PARTS, *_PATHS, *_PATH_PARTS):
            words.extend(values)
    return Route(tuple(hosts), tuple(paths), tuple(words), tuple(ports), conditional)


def _conditions(front: ProxySection, words: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(Name of an ACL or empty, criterion) of the terms of a condition that are not negated."""
    rest = iter(words)
    for word in rest:
        if word in ("{", "!{"):
            inside = tuple(iter(lambda: next(rest, "}"), "}"))
            if word == "{" and inside:
                yield "", inside
        elif not word.startswith("!") and word not in ("or", "||", "and"):
            for acl in front.values.all("acl"):
                if acl.words[:1] == (word,) and len(acl.words) > 1:
                    yield word, acl.words[1:]


def _values(criterion: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The method of `-m` and the values of a criterion; those in files are not read."""
    method = ""
    rest = iter(criterion[1:])
    values: list[str] = []
    for word in rest:
        if word in _WITH_ARGUMENT:
            argument = next(rest, "")
            method = argument if word == "-m" else method
        elif not (word.startswith("-") and not values):
            values.append(word)
    return method, tuple(values)
