"""Cases of heat.conf: the field cases mutated, and files drawn from options and odd values."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from tests.fuzz.case import Case
from tests.fuzz.haproxy_texts import SECRET
from tests.fuzz.mutations_of_text import WORDS, texts
from tests.places import CLONE, GUIDE

PROXY = GUIDE / "apis-proxy.conf"
_GROUPS = (
    b"[DEFAULT]", b"[heat_api]", b"[heat_api_cfn]", b"[oslo_messaging_rabbit]", b"[database]",
    b"[ec2authtoken]", b"[keystone_authtoken]", b"[clients_heat]", b"[", b"[]", b"[a", b"]",
    b"[DEFAULT] x", b"[default]",
)  # fmt: skip
_OPTIONS = (
    b"host", b"num_engine_workers", b"transport_url", b"rabbit_host", b"rabbit_hosts",
    b"rabbit_port", b"bind_host", b"rpc_response_timeout", b"sql_connection", b"connection",
    b"max_pool_size", b"workers", b"bind_port", b"auth_uri", b"heartbeat_timeout_threshold",
    b"rabbit_quorum_queue", b"executor_thread_pool_size", b"deferred_auth_method",
    b"region_name_for_services", b"heat_waitcondition_server_url", b"use_ssl", b"ssl",
    b"stack_action_timeout", b" x",
)  # fmt: skip
_VALUES = (
    b"rabbit://a:b@10.0.0.1:5672,a:b@10.0.0.2:5672/heat", b"rabbit://", b"rabbit://@",
    b"rabbit://[::1:5672", b"kombu+memory://", b"rabbit://a:b@c:99999/%zz",
    b"mysql+pymysql://a:b@[::1/heat", b"4", b"$host", b"$$", b"${my_ip}", b"$", b"%(x)s", b"true",
    b"http://10.0.0.1:8000/v1/waitcondition", b"10.0.0.1:5672,10.0.0.2:5672", b"1,2,,3", b"'",
    b'"a', b"rabbit://a:b@h:1e3/",
)  # fmt: skip


@cache
def samples() -> list[bytes]:
    """The files of Heat among the tests' data."""
    data = CLONE / "tests" / "data"
    found = data.rglob("heat*.conf")
    return sorted({path.read_bytes() for path in found})


@st.composite
def drawn(draw: st.DrawFn) -> bytes:
    """A file of groups, options, and lines that continue them, in any order."""
    lines = []
    value = st.one_of(st.sampled_from(_VALUES), st.sampled_from(_VALUES), st.sampled_from(WORDS))
    for _ in range(draw(st.integers(0, 10))):
        kind = draw(st.integers(0, 9))
        if kind < 2:
            lines.append(draw(st.sampled_from(_GROUPS)))
        elif kind < 8:
            between = draw(st.sampled_from((b" = ", b" = ", b"=", b":", b"", b" ")))
            lines.append(draw(st.sampled_from(_OPTIONS)) + between + draw(value))
        else:
            lines.append(draw(st.sampled_from((b"  ", b"\t", b"# ", b""))) + draw(value))
    return b"\n".join(lines)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """`audit` or `describe` of the guide's proxy with one or two files of Heat."""
    text = draw(st.one_of(texts(samples()), texts(samples()), drawn()))
    secrets: tuple[str, ...] = ()
    if draw(st.booleans()):
        text += draw(st.sampled_from(_SECRET_PLACES)).replace(b"SECRET", SECRET.encode())
        secrets = (SECRET,)
    files = {"haproxy.cfg": PROXY.read_bytes(), "heat.conf": text}
    if draw(st.integers(0, 4)) == 3:
        files["conf.d/more.conf"] = draw(texts(samples()))
    return Case("heat_conf", draw(st.sampled_from(_COMMANDS)), files, secrets)


_SECRET_PLACES = (
    b"\n[DEFAULT]\ntransport_url = rabbit://heat:SECRET@10.0.0.1:5672/\n",
    b"\n[database]\nconnection = mysql+pymysql://heat:SECRET@10.0.0.1/heat\n",
    b"\n[keystone_authtoken]\npassword = SECRET\n",
    b"\n[DEFAULT]\nauth_encryption_key = SECRET\nrabbit_password: SECRET\n",
    b"\n[DEFAULT]\n#transport_url = rabbit://heat:SECRET@10.0.0.1:5672/\n",
)
_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("audit", "haproxy.cfg", "B=heat.conf", "--no-resolve"),
    ("audit", "haproxy.cfg", "B=heat.conf"),
    ("audit", "heat.conf", "--no-resolve"),
    ("audit", "--proxy", "haproxy.cfg", "--heat-conf", "B:engine,rest=heat.conf,conf.d", "--no-resolve"),
    (
        "audit",
        "--proxy",
        "haproxy.cfg",
        "--heat-conf",
        "B=heat.conf",
        "--format",
        "json",
        "--heat-release",
        "27",
    ),
    (
        "audit",
        "haproxy.cfg",
        "B=heat.conf",
        "--no-resolve",
        "--patch",
        "out.secrets.toml",
        "--format",
        "sarif",
    ),
    ("describe", "--proxy", "haproxy.cfg", "--heat-conf", "B=heat.conf", "--heat-conf", "C=heat.conf"),
    ("describe", "--proxy", "haproxy.cfg", "--heat-conf", "B=heat.conf", "--no-resolve", "--engine", "B=2"),
)
