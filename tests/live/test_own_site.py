"""A page without a password serves no other site."""

from __future__ import annotations

import pytest

from calorimeter.live.own_site import of_this_site

HERE = "127.0.0.1:8089"


def status(loopback: bool, **environ: str) -> str:
    """The status with which a request is answered."""
    statuses: list[str] = []

    def page(environ: object, start: object) -> list[bytes]:
        statuses.append("200 OK")
        return [b""]

    guarded = of_this_site(page, loopback=loopback)
    guarded(dict(environ), lambda line, headers: statuses.append(line))
    (found,) = statuses
    return found


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_HOST": HERE},
        {"HTTP_HOST": "localhost:8089", "HTTP_SEC_FETCH_SITE": "none"},
        {"HTTP_HOST": "127.9.9.9"},
        {"HTTP_HOST": "[::1]:8089"},
        {"HTTP_HOST": HERE, "HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": f"http://{HERE}"},
    ],
)
def test_the_page_works_for_its_user(environ: dict[str, str], loopback: bool) -> None:
    """By an address or as localhost, typed or from the page itself."""
    assert status(loopback, **environ) == "200 OK"


@pytest.mark.parametrize("host", ["192.0.2.7:8089", "[2001:db8::1]:8089"])
def test_other_addresses_only_if_one_was_given(host: str) -> None:
    """A page on loopback answers to names of loopback alone; one on an address, to any address."""
    assert status(True, HTTP_HOST=host) == "403 Forbidden"
    assert status(False, HTTP_HOST=host) == "200 OK"


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_HOST": "evil.example:8089"},
        {"HTTP_HOST": "127.0.0.1.evil.example"},
        {"HTTP_HOST": "[bad"},
        {"HTTP_HOST": HERE, "HTTP_SEC_FETCH_SITE": "cross-site"},
        {"HTTP_HOST": HERE, "HTTP_SEC_FETCH_SITE": "same-site"},
        {"HTTP_HOST": HERE, "HTTP_ORIGIN": "http://evil.example"},
        {"HTTP_HOST": HERE, "HTTP_ORIGIN": "null"},
        {"HTTP_HOST": HERE, "HTTP_ORIGIN": "http://[bad"},
    ],
)
def test_another_site_starts_no_load(environ: dict[str, str], loopback: bool) -> None:
    """A form of another site, and a name that was made to lead here, are refused."""
    assert status(loopback, **environ) == "403 Forbidden"
