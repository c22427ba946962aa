"""HAProxy's hash functions of text, and what of a request is hashed."""

from __future__ import annotations

import pytest

from calorimeter.core.request_key import RequestKey
from calorimeter.core.string_hash import FUNCTIONS


@pytest.mark.parametrize(
    ("name", "empty", "a"),
    [("sdbm", 0, 97), ("djb2", 5381, 177670), ("crc32", 0, 0xE8B7BE43)],
)
def test_known_values(name: str, empty: int, a: int) -> None:
    """Of no text, and of `a`; whether HAProxy uses them so is tested against HAProxy."""
    assert (FUNCTIONS[name](b""), FUNCTIONS[name](b"a")) == (empty, a)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_hash_is_a_32_bit_number(name: str) -> None:
    """Whatever the length is."""
    for length in (0, 1, 7, 1000):
        assert 0 <= FUNCTIONS[name](b"\xff" * length) < 1 << 32


@pytest.mark.parametrize(
    ("balance", "path", "headers", "hashed"),
    [
        ("uri", "/10.0.0.7", {}, b"/10.0.0.7"),
        ("hdr(X-Key)", "/", {"X-Key": "10.0.0.7"}, b"10.0.0.7"),
        ("url_param user", "/?user=10.0.0.7", {}, b"10.0.0.7"),
    ],
)
def test_a_client_sends_its_address_as_the_key(
    balance: str, path: str, headers: dict[str, str], hashed: bytes
) -> None:
    """So that each address has a server of its own."""
    key = RequestKey.of(balance)
    assert key is not None
    assert (key.path("10.0.0.7"), key.headers("10.0.0.7"), key.hashed("10.0.0.7")) == (
        path,
        headers,
        hashed,
    )


@pytest.mark.parametrize(
    "balance",
    [
        "source",
        "uri whole",
        "uri depth 2",
        "hdr(host) use_domain_only",
        "hdr(a b)",
        "url_param",
        "hash src",
        "",
    ],
)
def test_what_is_not_known_has_no_key(balance: str) -> None:
    """Further words change what is hashed."""
    assert RequestKey.of(balance) is None
