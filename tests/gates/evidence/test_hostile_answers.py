"""What a broker, a proxy or an API may answer to a gate: a record, or one line on why there is none."""

from __future__ import annotations

import gzip
import json
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calorimeter.gates.evidence import heat_services, proxy_state
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.proxy_stats import StatsPage, StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.front_requests import _versions
from tests.core.login.test_http_session import answer
from tests.core.test_foreign import JSON
from tests.load.http.raw_server import answering, read_request, serving

ASKED = ("overview", "queues", "consumers", "connections", "channels", "tracing", "engine_consumers")
DEEP = b"[" * 100_000
FIELDS = (
    *("name", "durable", "queue", "channel_details", "consumer_tag", "message_stats", "peer_host", "tags"),
    *("connection_details", "number", "arguments", "messages_ready", "client_properties", "ack_required"),
)
ROWS = st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8), max_size=2)


def response(body: bytes, status: int = 200) -> requests.Response:
    """An answer, without a network."""
    made = requests.Response()
    made.status_code, made._content = status, body  # type: ignore[attr-defined]
    return made


def broker(body: bytes, monkeypatch: pytest.MonkeyPatch, status: int = 200) -> BrokerApi:
    """A broker that answers so to all but the question who asks."""
    api = BrokerApi("http://127.0.0.1:1", "u", "p", lag_s=-2.0)

    def request(method: str, url: str, **_: Any) -> requests.Response:
        if url.endswith("/whoami"):
            return response(b'{"tags": ["administrator"]}')
        return response(body, status)

    monkeypatch.setattr(api._http, "request", request)
    return api


def reasons(body: bytes, monkeypatch: pytest.MonkeyPatch, status: int = 200) -> list[str]:
    """Why each of the broker's records is not available; those that are available have none."""
    api, found = broker(body, monkeypatch, status), []
    for asked in ASKED:
        try:
            getattr(api, asked)()
        except EvidenceUnavailable as problem:
            assert str(problem).isprintable() and len(problem.why) < 300
            found.append(problem.why)
    return found


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=20) | (JSON | ROWS).map(lambda value: json.dumps(value).encode()))
def test_any_answer_of_a_broker_is_a_record_or_a_reason(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No reader of the management API raises anything else."""
    for status in (200, 401, 500):
        reasons(body, monkeypatch, status)


@pytest.mark.parametrize(
    "body", [DEEP, b'{"a": 1}', b'["a"]', b'[{"name": 1e999}]', b"<html>", b'"\\ud800"']
)
def test_hostile_answers_of_a_broker(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deep, of another form, not finite, half a character."""
    assert len(reasons(body, monkeypatch)) >= 5


def test_a_reason_commands_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What RabbitMQ gives as its reason is shown, without escape sequences."""
    [*found] = reasons(json.dumps({"reason": "\x1b]0;title\x07 no"}).encode(), monkeypatch, 500)
    assert found[0] == "answers 500 \x1b]0;title\x07 no to /overview"
    with pytest.raises(EvidenceUnavailable) as shown:
        broker(b'{"reason": "\\u001b[2J"}', monkeypatch, 500).overview()
    assert str(shown.value).endswith("answers 500 \\u001b[2J to /overview")


def test_a_broker_that_redirects_gets_no_password_to_another_place() -> None:
    """The line names both places."""
    seen: list[bytes] = []
    with serving(lambda sock: seen.append(read_request(sock))) as other:
        away_to = f"Location: http://127.0.0.1:{other.port}/api?p=1\r\n".encode()
        head = b"HTTP/1.1 302 X\r\n" + away_to + b"Content-Length: 0\r\n\r\n"
        with serving(answering(head)) as to, pytest.raises(EvidenceUnavailable) as away:
            BrokerApi(f"http://127.0.0.1:{to.port}", "u", "s3cr3t").overview()
    assert seen == []
    assert str(away.value) == (
        f"broker management http://127.0.0.1:{to.port}: answers 302 to /overview, "
        f"to http://127.0.0.1:{other.port}/api: no password is sent there"
    )


def test_a_stats_page_that_redirects_or_is_a_bomb() -> None:
    """Its password is not sent on; what it packs is bounded by what a session takes."""
    head = b"HTTP/1.1 301 X\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n"
    with (
        serving(answering(head)) as to,
        pytest.raises(EvidenceUnavailable, match="301 to http://evil/:"),
    ):
        StatsPage(f"http://127.0.0.1:{to.port}/s", "u", "p").show_stat()
    bomb = answer(gzip.compress(gzip.compress(bytes(2**20)))[:-20], "Content-Encoding: gzip")
    with serving(answering(bomb)) as to, pytest.raises(EvidenceUnavailable, match="cannot be unpacked"):
        StatsPage(f"http://127.0.0.1:{to.port}/s", "u", "p").show_stat()


class Stats(StatsSource):
    """A stats socket that answers so."""

    where, shows_sessions = "unix:///s", True

    def __init__(self, text: str) -> None:
        self._text = text

    def ask(self, command: str) -> str:
        """The text."""
        return self._text


HEAD = "# pxname,svname,qcur,type,\n"
STATE = "1\n# be_id be_name srv_name srv_id srv_addr\n"
WORDS = st.text(alphabet='a,0²"\n\0:=# \u2028', max_size=40)


@settings(max_examples=60)
@given(st.sampled_from(["", HEAD, STATE, "0x1: src=a:"]), WORDS)
def test_any_text_of_a_proxy_is_a_record_or_a_reason(head: str, text: str) -> None:
    """Numbers that are none, rows that are too short, quotes that do not end."""
    stats = Stats(head + text)
    for read in (stats.show_stat, stats.show_info, stats.show_sess, stats.show_servers_state):
        try:
            read()
        except EvidenceUnavailable as problem:
            assert "\n" not in str(problem)


@pytest.mark.parametrize("text", ["0x1: src=a:²", HEAD + "a\n", HEAD + "a,b,1,2\n" + "x" * 200_000])
def test_hostile_texts_of_a_proxy(text: str) -> None:
    """Each raised an error of Python's own in one of the readers."""
    stats = Stats(text)
    for read in (stats.show_sess, stats.show_stat):
        try:
            read()
        except EvidenceUnavailable as problem:
            assert str(problem).isprintable()
    assert proxy_state.read_sessions("0x1: src=a:80 fe=f")[0].client_port == 80


@settings(max_examples=25)
@given(st.binary(max_size=20) | JSON.map(lambda value: json.dumps({"services": value}).encode()))
def test_any_list_of_services_is_a_record_or_a_reason(body: bytes) -> None:
    """Heat's table of engines."""
    session = SimpleNamespace(get=lambda *_, **__: response(body))
    who: Any = SimpleNamespace(session=session, rest_url=lambda path: path)
    deployment: Any = SimpleNamespace(rest=SimpleNamespace(url="http://heat"))
    try:
        heat_services.read(deployment, who)
    except EvidenceUnavailable as problem:
        assert str(problem).isprintable()


@settings(max_examples=25)
@given(st.text(max_size=20) | JSON.map(lambda value: json.dumps({"versions": value})))
def test_any_list_of_versions_is_read(text: str) -> None:
    """The document at `/` of an API; none if it is another."""
    for version in _versions(text):
        version.model_dump_json()
