"""Cases of HAProxy's configuration: the field cases mutated, and files drawn from HAProxy's words."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from tests.fuzz.case import Case
from tests.fuzz.mutations_of_text import WORDS, texts
from tests.places import CLONE, GUIDE

SECRET = "xqzsecretzqx"

_SECTIONS = (
    b"global", b"defaults", b"listen heat", b"frontend heat_api", b"backend heat_api",
    b"userlist u", b"peers p", b"defaults a from b", b"listen", b"resolvers r", b"backend x from",
    b"program p", b"cache c",
)  # fmt: skip
_STATEMENTS = (
    b"bind", b"bind *:8004", b"bind [::]:8004-8010", b"mode", b"mode http", b"balance",
    b"balance source", b"server", b"server n1 10.0.0.1:8004 check",
    b"server n1 10.0.0.1:8004 check inter 2s rise 2 fall 5 weight 1",
    b"server-template t 1-3 heat:8004 check", b"server-template t 1-99999999 heat:8004",
    b"server-template", b"default_backend heat_api", b"use_backend heat_api if { path_beg /v1 }",
    b"use_backend", b"option", b"option httpchk",
    b"option httpchk GET /healthcheck HTTP/1.1\\r\\nHost:\\ x", b"http-check expect status 200",
    b"http-check send meth", b"timeout", b"timeout server", b"timeout server 1m",
    b"timeout check 99999999999999d", b"maxconn", b"maxconn 4000",
    b"stick-table type ip size 1m expire 1h", b"stick on src", b"stick-table", b"cookie S insert",
    b"hash-type consistent", b"stats enable", b"stats uri /s", b"stats auth",
    b"stats socket /x level admin", b"default-server", b"log", b"errorfile",
    b"default-server inter 1s check", b"acl", b"acl a path_beg /x",
    b"http-request set-header X-Auth-Token", b"setenv A", b"presetenv", b".if defined(A)", b".if",
    b".endif", b".else", b".elif", b".diag x", b"no option", b"no", b"external-check",
)  # fmt: skip


@cache
def samples() -> list[bytes]:
    """The files of HAProxy among the tests' data."""
    data = CLONE / "tests" / "data"
    found = [*data.rglob("*.cfg"), GUIDE / "apis-proxy.conf"]
    return sorted({path.read_bytes() for path in found})


@st.composite
def drawn(draw: st.DrawFn) -> bytes:
    """A file of sections and statements in any order, with odd words at the end of some."""
    lines = []
    for _ in range(draw(st.integers(0, 5))):
        lines.append(draw(st.sampled_from(_SECTIONS)))
        for _ in range(draw(st.integers(0, 6))):
            line = b"    " + draw(st.sampled_from(_STATEMENTS))
            if draw(st.integers(0, 2)) == 0:
                line += b" " + draw(st.sampled_from(WORDS))
            lines.append(line)
    return b"\n".join(lines)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """`audit` or `describe` of one file, or of two of one proxy."""
    text = draw(st.one_of(texts(samples()), texts(samples()), drawn()))
    secrets: tuple[str, ...] = ()
    if draw(st.booleans()):
        place = draw(st.sampled_from(_SECRET_PLACES)).replace(b"SECRET", SECRET.encode())
        text += b"\n" + place + b"\n"
        secrets = (SECRET,)
    words = draw(st.sampled_from(_COMMANDS))
    return Case("haproxy", words, {"haproxy.cfg": text}, secrets)


_SECRET_PLACES = (
    b"listen s\n  stats auth admin:SECRET", b"userlist u2\n  user a insecure-password SECRET",
    b"backend q\n  http-request set-header X-Auth-Token SECRET",
    b'backend q\n  http-request set-header Authorization "Basic SECRET"',
    b"backend q\n  option httpchk GET / HTTP/1.1\\r\\nAuthorization:\\ Bearer\\ SECRET",
    b"global\n  setenv STATS_PASSWORD SECRET",
)  # fmt: skip

_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("audit", "haproxy.cfg", "--no-resolve"),
    ("audit", "haproxy.cfg"),
    ("audit", "haproxy.cfg", "--format", "json"),
    ("audit", "--proxy", "haproxy.cfg", "--format", "sarif", "-o", "out.sarif", "--no-resolve"),
    ("audit", "haproxy.cfg", "--no-resolve", "--rest-section", "heat_api", "--cfn-section", "heat_cfn"),
    ("audit", "haproxy.cfg", "--no-resolve", "--patch", "out.secrets.toml"),
    ("describe", "--proxy", "haproxy.cfg"),
    ("describe", "--proxy", "haproxy.cfg", "--no-resolve", "--rest-section", "heat_api", "-o", "d.toml"),
)
