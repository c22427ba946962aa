"""transport_url as oslo.messaging and kombu read it, which are asked."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calorimeter.config.heat import oslo, transport_url
from calorimeter.config.heat.transport_url import Transport
from tests.config.heat.conftest import Oracle


def transport(url: str, *, ssl: bool = False) -> Transport:
    """The transport of a URL as the value of the option."""
    text = url.replace("$", "$$").replace("\n", "\n  ")
    value = oslo.options([oslo.parse("f", f"[DEFAULT]\ntransport_url = {text}\n")]).get("transport_url")
    assert value
    return transport_url.parse(value, ssl=ssl)


def agree(url: str, ssl: bool, messaging: Oracle) -> None:
    """Our reading is that of Heat's libraries: both fail, or both reach the same nodes."""
    ours, theirs = transport(url, ssl=ssl), messaging(url, ssl)
    if "NoSuchOptError" in str(theirs.get("fault")):
        return  # which options there are depends on the release
    nodes = sorted([n.host.lower(), n.port, n.user, n.password, ours.vhost] for n in ours.hosts)
    reached = sorted([host.lower(), *rest] for host, *rest in theirs.get("nodes", ()))
    if "with a slash" in ours.fault:  # kombu rejects the URL, or reads another host in it
        assert "fault" in theirs or nodes != reached, url
        return
    assert bool(ours.fault) == ("fault" in theirs), (url, ours.fault, theirs)
    if ours.fault or not ours.hosts:
        return
    assert ours.tls == theirs["tls"], url
    assert nodes == reached, url


URLS = """\
rabbit://
rabbit:///v
rabbit://h
rabbit://h//
rabbit://u@h
rabbit://,/
rabbit://h1,,h2/
rabbit:u
RABBIT://H
h:5672
foo://h
amqp://u:p@h/
fake://
kombu+amqp://u:p@h/
kombu+amqps://u:p@h/
kombu+rabbit://h/
kombu+memory://
kombu://u:p@h/v
rabbit://u:p@h:0/
rabbit://u:p@h:x/
rabbit://u:p@h:/
rabbit://u:p@h:-5/
rabbit://u:p@h:99999/
rabbit://u:p@:5/
rabbit://u:p@[::1]:55/
rabbit://u:p@[fd00::1]
rabbit://u:p@::1/
rabbit://u:p@[::1/
rabbit://u:p?w@h/
rabbit://u:p/w@h/
rabbit://u:p#w@h/
rabbit://u:p,w@h/
rabbit://u:p[x@h/
rabbit://u:p@w@h/
rabbit://u:p:w@h/
rabbit://u:p%w@h/
rabbit://u:p+w@h/
rabbit://u:p%2Fw@h/
rabbit://u:p%2525@h
rabbit://\N{LATIN SMALL LETTER U WITH DIAERESIS}:p@h/\N{LATIN SMALL LETTER E WITH ACUTE}
rabbit://u:p@h/a b
rabbit://u:p@h/a/b/
rabbit://u:p@h/a%2541
rabbit://u:p@h/a%3Fb
rabbit://u:p@h/a%23b
rabbit://u:p@h/%2F
rabbit://u:p@h?ssl=on
rabbit://u:p@h/?ssl=0
rabbit://u:p@h/?ssl=
rabbit://u:p@h/?ssl=maybe
rabbit://u:p@h/?ssl=1&ssl=0
rabbit://u:p@h/?heartbeat_rate=3&ssl=yes
rabbit://u:p@h/heat # old
""".splitlines()


@pytest.mark.slow  # starts Heat's libraries
@pytest.mark.parametrize("ssl", [False, True])
def test_urls_as_they_are_written(messaging: Oracle, ssl: bool) -> None:
    """Each URL fails in Heat's libraries and here, or reaches the same nodes."""
    for url in [*URLS, "rabbit://u:p@h/heat\n# old: rabbit://x:y@z/", "rabbit://u:p@h:56\n72/"]:
        agree(url, ssl, messaging)


_WORDS = st.text(st.sampled_from("ab1%@:+ ;#/?[]&=.\N{LATIN SMALL LETTER E WITH ACUTE}"), max_size=4)
_ENCODED = st.lists(st.sampled_from(["a", "%40", "%2F", "%23", "%25", "%3A", "+", "%C3%A9"]), max_size=4)
_WORD = st.one_of(_WORDS.filter(lambda word: ";" not in word), _ENCODED.map("".join))
_HOSTS = st.sampled_from(["h", "10.0.0.1", "[fd00::1]", "fd00::1", "Rabbit.example", ""])
_PORTS = st.sampled_from(["", ":5671", ":1", ":x", ":"])
_NODE = st.builds(
    lambda user, password, host, port: f"{user}{password}{host}{port}",
    st.one_of(st.just(""), _WORD),
    st.one_of(st.just(""), _WORD.map(":{}@".format)),
    _HOSTS,
    _PORTS,
)
_URL = st.builds(
    lambda scheme, nodes, vhost, query: f"{scheme}://{','.join(nodes)}{vhost}{query}".strip(),
    st.sampled_from(["rabbit", "rabbit", "rabbit", "amqp"]),
    st.lists(_NODE, max_size=3),
    st.one_of(st.just(""), _WORD.map("/{}".format)),
    st.sampled_from(["", "", "?ssl=1", "?ssl=0", "?ssl=x"]),
)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_URL, st.booleans())
def test_generated_urls(messaging: Oracle, url: str, ssl: bool) -> None:
    """Generated URLs are read as Heat's libraries read them."""
    agree(url, ssl, messaging)


@given(st.text(max_size=60))
def test_no_url_raises(text: str) -> None:
    """Any text gives a transport, and its fault is one line without the password."""
    found = transport(f"rabbit://u:secret#{''.join(text.split())}@h/")
    assert "secret" not in found.fault
    assert "\n" not in found.fault


@pytest.mark.parametrize(
    ("url", "correct"),
    [
        ("rabbit://heat:Pa#ss@10.0.0.1:5672/v", "rabbit://heat:Pa%23ss@10.0.0.1:5672/v"),
        ("rabbit://heat:Pa?s[s@10.0.0.1/", "rabbit://heat:Pa%3Fs%5Bs@10.0.0.1/"),
        ("rabbit://heat:Pa#s%40s@10.0.0.1/", None),
        ("rabbit://heat:Pa/ss@10.0.0.1/", None),
        ("rabbit://heat:Pa#s@a,heat:Pa#s@b/", None),
        ("rabbit://heat:Pa#s$s@10.0.0.1/", None),
        ("rabbit://heat@10.0.0.1:x/", None),
    ],
)
def test_the_url_that_was_meant(url: str, correct: str | None) -> None:
    """A URL that cannot be read is corrected only if one password is certain; no encoding saves a slash."""
    found = transport(url)
    assert found.fault
    assert found.correct == correct


def test_a_dollar_sign_in_a_password_is_no_option() -> None:
    """A `$name` in a password that no file sets is the fault of the URL; `$$` and an option are not."""
    for text, faulty in (
        ("rabbit://u:a$b@h/", True),
        ("rabbit://u:a$$b@h/", False),
        ("rabbit://u:$x@h", False),
    ):
        file = oslo.parse("f", f"[DEFAULT]\nx = y\ntransport_url = {text}\n")
        value = oslo.options([file]).get("transport_url")
        assert value
        assert bool(transport_url.parse(value).fault) == faulty
