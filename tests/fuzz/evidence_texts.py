"""Cases of what a deployment shows: lines of a proxy's log, traced messages, answers of a stats socket."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.case import READER, Case
from tests.fuzz.mutations_of_text import VALUES, texts, trees
from tests.gates.evidence.test_proxy_log import EVENTS, HTTP, TCP
from tests.gates.evidence.test_proxy_stats import STAT
from tests.gates.evidence.test_rpc_message import CALL, HEADERS, SECRETS

_LINES = [
    *(
        TCP.encode(),
        HTTP.encode(),
        *(f"<129>Nov 22 19:07:17 haproxy[7789]: {text}".encode() for text, *_ in EVENTS),
    ),
    b"<134>Nov 22 19:07:22 haproxy[7]: Connect from ::1:48186 to 10.0.0.9:8004 (heat/TCP)",
    b"<134>1 2026-11-22T19:07:22.123456+01:00 ctl1 haproxy 7789 - - Proxy t started.",
    b'<134>1 2026-11-22T19:07:22Z ctl1 haproxy 7789 - [a@1 k="v\\]"][b@2] ' + HTTP.encode(),
    b"10.0.0.1:1 [22/Nov/2026:19:07:22.097] t~ t/<NOSRV> -1/-1/+0 +0 SC 1/1/0/0/+1 0/0",
    b"10.0.0.1:1 [22/Nov/2026:19:07:25.119] h/1: SSL handshake failure",
]
_MOMENTS = (
    b"99/Nov/2026:19:07:22.097", b"31/Feb/2026:19:07:22.097", b"22/Xyz/2026:19:07:22.097",
    b"01/Jan/0000:00:00:00.000", b"01/Jan/0001:00:00:00.000", b"31/Dec/9999:24:60:61.999",
    b"22/Nov/2026:25:07:22.097", b"22/Ebm/2026:19:07:22.097",
    b"\xd9\xa2\xd9\xa2/Nov/2026:19:07:22.097", b"22/Nov/2026:19:07:22.097",
)  # fmt: skip
_PARTS = (
    *_MOMENTS,
    b"1/0/" + b"9" * 30,
    b"9" * 4400,
    b'"',
    b"{" * 300,
    b"a " * 20000,
    b":" * 3000,
    b"/" * 3000,
)
_FIELDS = st.sampled_from(
    (b"0", b"-1", b"1", b"+0", b"9" * 25, b"9" * 4400, "٣".encode(), "²".encode(), b"", b"a")
)


@st.composite
def connections(draw: st.DrawFn) -> bytes:
    """A line of tcplog or httplog, field by field."""

    def numbers(count: int) -> bytes:
        return b"/".join(draw(_FIELDS) for _ in range(count))

    client = draw(
        st.sampled_from(
            (b"10.0.0.1:1", b"::1:2", b"unix:3", b":", b"a:" + b"9" * 5000, "a:²".encode(), "a:٣".encode())
        )
    )
    place = draw(st.sampled_from((b"t~ b/s", b"t b/<NOSRV>", b"t t/a", b"/ /", b"t b/s/x")))
    head = client + b" [" + draw(st.sampled_from(_MOMENTS)) + b"] " + place + b" "
    if draw(st.booleans()):
        return head + numbers(3) + b" " + draw(_FIELDS) + b" -- " + numbers(5) + b" " + numbers(2)
    request = draw(
        st.sampled_from(
            (b'"GET / HTTP/1.1"', b'"' + b"a" * 70000, b"{" + b"} {" * 3000, b'"\x1b[31m"', b"")
        )
    )
    middle = numbers(5) + b" " + draw(_FIELDS) + b" " + draw(_FIELDS) + b" - - ---- "
    return head + middle + numbers(5) + b" " + numbers(2) + b" " + request


@st.composite
def log_lines(draw: st.DrawFn) -> Case:
    """A few lines of a log."""
    data = b"\n".join(
        draw(st.lists(st.one_of(texts(_LINES, _PARTS), connections()), min_size=1, max_size=8))
    )
    return Case("log_lines", (f"{READER}log_lines",), {"input": data})


_REPLY: dict[str, Any] = {
    "result": {"a": [1]},
    "failure": None,
    "_msg_id": "2e82",
    "ending": True,
    "_unique_id": "a5",
}
_CAST = {
    "method": "check_resource",
    "args": {
        "stack_identity": {"stack_id": "s", "stack_name": "n", "path": "", "tenant": "t"},
        "resource_id": 7,
        "current_traversal": "t-1",
        "stack_id": "s",
    },
    "_unique_id": "u",
    "_context_auth_token": "gAAAAASECRETTOKEN",
}
_SECRET_KEYS = (
    "_context_auth_token",
    "_context_auth_token_info",
    "_context_password",
    "_context_trust_id",
    "template",
    "params",
)


@st.composite
def rpc_messages(draw: st.DrawFn) -> Case:
    """One event of the broker's trace: its routing key, its headers and its body."""
    key = draw(
        st.sampled_from(
            ("publish.heat", "deliver.engine", "deliver.", "publish", "x.y", "deliver.²", "deliver.a.b")
        )
    )
    headers = json.dumps(draw(trees([{**HEADERS, "redelivered": 0, "routed_queues": ["engine"]}])))
    message = draw(trees([CALL, CALL, _CAST, _REPLY]))
    form = draw(st.integers(0, 5))
    whole: Any = {"oslo.version": "2.0", "oslo.message": json.dumps(message)}
    if form == 3:
        whole = {"oslo.version": "2.0", "oslo.message": message}
    elif form == 4:
        whole = {"oslo.message": draw(st.sampled_from(VALUES))}
    body = json.dumps(whole).encode()
    if form == 5:
        body = draw(texts([body]))
    # A mutation may move a secret to where an id stands: then nobody can know that it is one.
    kept = isinstance(message, dict) and all(
        message.get(name) == CALL.get(name) for name in _SECRET_KEYS if name[0] == "_"
    )
    secrets = SECRETS if kept and form != 5 and message.get("args") == CALL["args"] else ()
    data = f"{key}\n{headers}\n".encode("utf-8", "surrogatepass") + body
    return Case("rpc_messages", (f"{READER}rpc_messages",), {"input": data}, secrets)


_STATS = [
    STAT.encode(),
    b"0x55d: proto=tcpv4 src=127.0.0.1:40000 fe=t be=t srv=a ts=02 age=1s calls=2\n"
    b"0x55e: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none>\n",
    b"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    b"srv_time_since_last_change srv_check_status srv_port\n3 t 1 a 127.0.0.1 2 0 1 1 15 6 8004\n",
    b"Name: HAProxy\nVersion: 2.6.12\nUptime: 0d 0h00m05s\nMaxconn: 4000\nDroppedLogs: 0\n",
]
_CELLS = (b"a" * 140_000, b'"' * 3, b",", b"src=", b"src=a:\xc2\xb2", b"src=a:" + b"9" * 5000, b"# ", b"2,")


@st.composite
def stats(draw: st.DrawFn) -> Case:
    """One answer of a stats socket."""
    return Case("stats", (f"{READER}stats",), {"input": draw(texts(_STATS, _CELLS))})
