"""Every form in which HAProxy accepts a secret, as words, and the ways to write a word in a line."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

GLOBAL, USERS, FCGI, HTTP, CHECK, TCP = (
    "global",
    "userlist u",
    "fcgi-app f",
    "frontend x",
    "backend b",
    "tcp",
)
Words = tuple[str, ...]
Form = tuple[str, Callable[[str], Words]]
Way = Callable[[str, Random], str]


def basic(secret: str) -> str:
    """A login as clients send it."""
    return base64.b64encode(f"op:{secret}".encode()).decode()


FORMS: tuple[Form, ...] = (
    (GLOBAL, lambda s: ("setenv", "STATS_PASSWORD", s)),
    (GLOBAL, lambda s: ("presetenv", "API_KEY", s)),
    (GLOBAL, lambda s: ("setenv", "HTTP_AUTHORIZATION", f"Basic {basic(s)}")),
    (GLOBAL, lambda s: ("setenv", "STATS_LOGIN", f"op:{s}")),
    (GLOBAL, lambda s: ("cluster-secret", s)),
    (GLOBAL, lambda s: ("set-var", "proc.token", f"str({s})")),
    (GLOBAL, lambda s: ("set-var-fmt", "proc.token", s)),
    (GLOBAL, lambda s: ("lua-load-per-thread", "/dev/null", f"password={s}")),
    (GLOBAL, lambda s: ("lua-load", "/dev/null", "--token", s)),
    (USERS, lambda s: ("user", "op", "insecure-password", s)),
    (USERS, lambda s: ("user", "me", "password", s, "groups", "g")),
    (FCGI, lambda s: ("set-param", "API_TOKEN", s)),
    (HTTP, lambda s: ("stats", "auth", f"op:{s}")),
    (HTTP, lambda s: ("acl", "a", "req.hdr(Authorization)", "-m", "str", f"Bearer {s}")),
    (HTTP, lambda s: ("acl", "a", "req.hdr(authorization),word(2,' ')", "-m", "str", s)),
    (HTTP, lambda s: ("acl", "a", "hdr_beg(Authorization)", "-i", "x", f"basic {basic(s)}")),
    (HTTP, lambda s: ("acl", "a", "http_auth_pass", "-m", "str", s)),
    (HTTP, lambda s: ("acl", "a", "http_auth_bearer", "-m", "beg", s)),
    (HTTP, lambda s: ("acl", "a", f'http_auth_bearer,jwt_verify("HS256","{s}")', "1")),
    (HTTP, lambda s: ("acl", "a", "urlp(token)", s)),
    (HTTP, lambda s: ("acl", "a", "url_param(key)", "-m", "end", s)),
    (HTTP, lambda s: ("acl", "a", "query", "-m", "sub", f"a=1&token={s}")),
    (HTTP, lambda s: ("acl", "a", "req.cook(id)", "-m", "str", s)),
    (HTTP, lambda s: ("acl", "a", "var(txn.token)", "-m", "str", s)),
    (HTTP, lambda s: ("use_backend", "b0", "if", "{", "req.hdr(X-Auth-Token)", "-m", "str", s, "}")),
    (HTTP, lambda s: ("http-request", "set-header", "X-Auth-Token", s, "if", "{", "src", "10.0.0.1", "}")),
    (HTTP, lambda s: ("http-request", "add-header", "Authorization", f"Bearer {s}")),
    (HTTP, lambda s: ("http-request", "set-header", "Authorization", f"Basic {basic(s)}")),
    (HTTP, lambda s: ("http-request", "set-header", "Authorization", f"Basic %[str(op:{s}),base64]")),
    (HTTP, lambda s: ("http-request", "replace-header", "Authorization", "(.*)", f"Bearer {s}")),
    (HTTP, lambda s: ("http-request", "replace-value", "X-Api-Key", f"{s}.*", "none")),
    (HTTP, lambda s: ("http-request", "early-hint", "X-Secret", s)),
    (HTTP, lambda s: ("http-request", "set-var(txn.token)", f"str({s})")),
    (HTTP, lambda s: ("http-request", "set-var-fmt(txn.token)", s)),
    (HTTP, lambda s: ("http-request", "set-query", f"key={s}")),
    (HTTP, lambda s: ("http-request", "set-path", f"/check?x=1&key={s}")),
    (HTTP, lambda s: ("http-request", "deny", "deny_status", "403", "hdr", "X-Api-Key", s)),
    (HTTP, lambda s: ("http-request", "redirect", "location", f"https://u:{s}@h/")),
    (HTTP, lambda s: ("redirect", "prefix", "https://h/", "set-cookie", f"SESSION={s}")),
    (HTTP, lambda s: ("http-response", "set-header", "Set-Cookie", f"id={s}; Path=/")),
    (
        HTTP,
        lambda s: (
            *("http-request", "return", "status", "200", "content-type", "text/plain"),
            *("string", f"token={s}", "hdr", "X-Token", s),
        ),
    ),
    (CHECK, lambda s: ("dynamic-cookie-key", s)),
    (CHECK, lambda s: ("option", "httpchk", "GET", "/", f"HTTP/1.0\r\nAuthorization: Basic {basic(s)}")),
    (CHECK, lambda s: ("option", "httpchk", "GET", "/", f"HTTP/1.0\r\nHost: h\r\nX-Auth-Token: {s}\r\n")),
    (CHECK, lambda s: ("option", "httpchk", "GET", f"/check?key={s}")),
    (CHECK, lambda s: ("http-check", "send", "uri", f"/?token={s}", "hdr", "Authorization", f"Bearer {s}")),
    (CHECK, lambda s: ("http-check", "send", "meth", "POST", "body", f'{{"auth": {{"password": "{s}"}}}}')),
    (CHECK, lambda s: ("http-check", "send", "hdr", "Cookie", f"session={s}", "ver", "HTTP/1.1")),
    (CHECK, lambda s: ("http-check", "expect", "hdr", "name", "X-Token", "value", "-m", "str", s)),
    (TCP, lambda s: ("tcp-check", "send", f"AUTH {s}\r\n")),
    (TCP, lambda s: ("tcp-check", "send-lf", f"AUTH default {s}\r\n")),
    (TCP, lambda s: ("tcp-check", "send", f"*2\r\n$4\r\nAUTH\r\n$9\r\n{s}\r\n")),
    (TCP, lambda s: ("tcp-check", "send", f"GET / HTTP/1.0\r\nAuthorization: Bearer {s}\r\n\r\n")),
    (TCP, lambda s: ("tcp-check", "send-binary", f"AUTH {s}\r\n".encode().hex())),
)


def escaped(word: str, _: Random) -> str:
    """A backslash before each special character."""
    names = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}
    return "".join(names.get(c, f"\\{c}" if c in " \\#'\"" else c) for c in word)


def in_double_quotes(word: str, rng: Random) -> str:
    """The whole word in double quotes."""
    return '"' + "".join(f"\\{c}" if c == "$" else escaped(c, rng) if c != " " else c for c in word) + '"'


def in_single_quotes(word: str, rng: Random) -> str:
    """The whole word in single quotes, if it can be."""
    return escaped(word, rng) if set(word) & set("'\r\n\t") else f"'{word}'"


def in_hexadecimal(word: str, rng: Random) -> str:
    """Some characters by their codes."""
    return "".join(
        f"\\x{ord(c):02x}" if rng.random() < 0.4 and c < "\x7f" else escaped(c, rng) for c in word
    )


def in_pieces(word: str, rng: Random) -> str:
    """Pieces of the word, each written in another way."""
    ways = (escaped, in_double_quotes, in_single_quotes, in_hexadecimal)
    cuts = sorted({0, len(word), *(rng.randrange(len(word) + 1) for _ in range(4))})
    pieces = (word[a:b] for a, b in pairwise(cuts))
    return "".join(rng.choice(ways)(piece, rng) for piece in pieces)


WAYS = (escaped, in_double_quotes, in_single_quotes, in_hexadecimal, in_pieces)


def line(words: Sequence[str], way: Callable[[str, Random], str], rng: Random) -> str:
    """A statement, each of its words written in one of the ways."""
    return "  " + " ".join(way(word, rng) for word in words)


def configuration(secret: str, way: Callable[[str, Random], str], rng: Random) -> str:
    """A whole file with every form of a secret; each check has a section of its own."""
    text = ""
    for name, (head, whole) in _SECTIONS.items():
        lines = [line(form(secret), way, rng) for at, form in FORMS if at == name]
        groups = [lines] if whole else [[each] for each in lines]
        text += "".join(head.format(n) + "\n".join(group) + "\n" for n, group in enumerate(groups))
    return text


_SECTIONS = {
    GLOBAL: ("global\n", True),
    USERS: (
        "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nuserlist u\n group g\n",
        True,
    ),
    FCGI: ("fcgi-app f\n docroot /srv\n", True),
    HTTP: ("frontend x\n mode http\n bind 127.0.0.1:1\n default_backend b0\n", True),
    CHECK: ("backend b{}\n mode http\n option httpchk\n server s 127.0.0.1:80 check\n", False),
    TCP: ("backend c{}\n option tcp-check\n server s 127.0.0.1:80 check\n", False),
}
