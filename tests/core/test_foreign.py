"""What other programs send: a value of the expected form, or one error, whatever the bytes are."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core import foreign
from calorimeter.core.foreign import UnintelligibleError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
READERS: tuple[Callable[[object], object], ...] = (
    *(foreign.table, foreign.objects, foreign.text, foreign.identifier, foreign.arn, foreign.token),
    *(foreign.target, foreign.url, lambda value: foreign.member(value, "stack", "id")),
)
ENDS = "\r\n\0 \x7f\x85\u2028é"
"""Characters that end a line somewhere, or that no request line may have."""


def refused(read: Callable[[], object]) -> str:
    """The message of the error, which is one line in characters that every terminal shows."""
    with pytest.raises(UnintelligibleError) as caught:
        read()
    message = str(caught.value)
    assert message.isprintable()
    return message


@settings(max_examples=40)
@given(JSON | st.binary())
def test_any_value_is_read_or_refused(value: object) -> None:
    """No reader raises anything else, for any value of JSON and any bytes."""
    for read in READERS:
        try:
            read(value)
        except UnintelligibleError as problem:
            assert str(problem).isprintable()


@settings(max_examples=40)
@given(st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_json_or_refused(body: bytes) -> None:
    """What is read can be written again as UTF-8 and as strict JSON."""
    try:
        value = foreign.json_value(body)
    except UnintelligibleError:
        return
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"1" * 5_000,  # more digits than Python converts
        b"1e999",
        b"NaN",
        b'"\\ud800"',
        b'{"\\uDFFF": 1}',
        b'"\xff"',
        '{"a": 1}'.encode("utf-16"),
        b"",
    ],
)
def test_json_that_cannot_be_used(body: bytes) -> None:
    """Deep, huge, not finite, half a surrogate pair, another encoding: one error."""
    assert refused(lambda: foreign.json_value(body)).startswith("no JSON (")


def test_honest_json_is_read() -> None:
    """Escaped characters beyond 16 bits, large numbers and nesting stay what they are."""
    assert foreign.json_value(rb'{"a": "\ud83d\ude00", "b": 18446744073709551616, "c": 1.5}') == {
        "a": "\U0001f600",
        "b": 2**64,
        "c": 1.5,
    }
    assert foreign.json_value(b"[" * 200 + b"]" * 200)


@pytest.mark.parametrize("end", ENDS)
def test_nothing_that_ends_a_line_goes_out_again(end: str) -> None:
    """Ids, ARNs, tokens, paths and URLs with such a character are refused, wherever it is."""
    for text in (f"a{end}b", f"{end}ab", f"ab{end}"):
        for read, form in (
            (foreign.identifier, "{}"),
            (foreign.arn, "arn:openstack:heat::p:stacks/n/{}"),
            (foreign.token, "{}"),
            (foreign.target, "/v1/{}"),
            (foreign.url, "http://h/{}"),
            (foreign.url, "http://{}/"),
        ):
            refused(lambda read=read, form=form, text=text: read(form.format(text)))


def test_ids_of_heat_and_keystone_are_ids() -> None:
    """What Heat and Keystone send today passes."""
    for text in ("0123abcd-0000-4000-8000-0123456789ab", "f" * 64, "default", "cal-r-0-1.x_y", "arn:a:b"):
        assert foreign.identifier(text) == text
    arn = "arn:openstack:heat::0123abcd:stacks/cal-r-0-1/0123abcd-0000-4000-8000-0123456789ab"
    assert foreign.arn(arn) == arn


@pytest.mark.parametrize(
    "text",
    ["http://[", "http://h:0/", "http://h:99999/", "http://h:x/", "http://u:p@h/", "http:///p", "ftp://h/"],
)
def test_broken_urls_are_refused(text: str) -> None:
    """Python's own parser raises for some of them and accepts others."""
    assert refused(lambda: foreign.url(text)) == "not a URL"


def test_a_location_leads_to_a_path() -> None:
    """Absolute or not, with its query; the host is not used, as Heat often does not know its own name."""
    assert foreign.location(b"http://inside:8004/v1/p/stacks/a/1?x=y") == "/v1/p/stacks/a/1?x=y"
    assert foreign.location(b"/v1/p") == "/v1/p"
    refused(lambda: foreign.location(b""))
    refused(lambda: foreign.location(b"http://h/\xff"))


LAUGHS = b'<!DOCTYPE a [<!ENTITY b "ha">]><r><StackId>&b;</StackId></r>'


@pytest.mark.parametrize(
    "body",
    [
        LAUGHS,
        b"<!DOCTYPE r><r><StackId>x</StackId></r>",
        b'<?xml version="1.0" encoding="utf-16"?>' + LAUGHS,
        LAUGHS.decode().encode("utf-16"),
        LAUGHS.decode().encode("utf-16-be"),
        b"\xef\xbb\xbf" + LAUGHS,
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><r/>',
        b"<r>&undeclared;<StackId>x</StackId></r>",
        b"<StackId>x",
        b"<a>" * 100_000,
        b'<?xml version="1.0" encoding="no-such"?><r><Stack/></r>',
        b"\0",
        b"",
    ],
)
def test_xml_with_a_type_or_an_entity_is_refused(body: bytes) -> None:
    """In any encoding; so is what is no XML, or lacks the element."""
    refused(lambda: foreign.xml_text(body, "StackId"))


def test_honest_xml_is_read() -> None:
    """Heat's form, with the escapes that XML has of itself, comments and CDATA."""
    body = b'<?xml version="1.0"?><R><!-- c --><A><StackId>a&amp;&#98;<![CDATA[<c>]]></StackId></A></R>'
    assert foreign.xml_text(body, "StackId") == "a&b<c>"


MARKUP = st.text(alphabet="<>/!&;[]?StackId \"'xDOCTYPE", max_size=60).map(str.encode)


@settings(max_examples=40)
@given(st.binary(max_size=60) | MARKUP)
def test_any_bytes_are_xml_or_refused(body: bytes) -> None:
    """No other error."""
    with suppress(UnintelligibleError):
        foreign.xml_text(body, "S")
