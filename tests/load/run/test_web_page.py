"""Locust's page, which has no password, serves no other site."""

from __future__ import annotations

import pytest

from calorimeter.load.run.web_page import of_this_site


def status(**environ: str) -> str:
    """The status with which a request is answered."""
    statuses: list[str] = []

    def page(environ: object, start: object) -> list[bytes]:
        statuses.append("200 OK")
        return [b""]

    of_this_site(page)(dict(environ), lambda line, headers: statuses.append(line))
    (found,) = statuses
    return found


HERE = "127.0.0.1:8089"


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_HOST": HERE},
        {"HTTP_HOST": "localhost:8089", "HTTP_SEC_FETCH_SITE": "none"},
        {"HTTP_HOST": "[::1]:8089"},
        {"HTTP_HOST": "192.0.2.7:8089"},
        {"HTTP_HOST": HERE, "HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": f"http://{HERE}"},
    ],
)
def test_the_page_works_for_its_user(environ: dict[str, str]) -> None:
    """By an address or as localhost, typed or from the page itself."""
    assert status(**environ) == "200 OK"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_HOST": "evil.example:8089"},
        {"HTTP_HOST": "[bad"},
        {"HTTP_HOST": HERE, "HTTP_SEC_FETCH_SITE": "cross-site"},
        {"HTTP_HOST": HERE, "HTTP_SEC_FETCH_SITE": "same-site"},
        {"HTTP_HOST": HERE, "HTTP_ORIGIN": "http://evil.example"},
        {"HTTP_HOST": HERE, "HTTP_ORIGIN": "null"},
    ],
)
def test_another_site_starts_no_load(environ: dict[str, str]) -> None:
    """A form of another site, and a name that was made to lead here, are refused."""
    assert status(**environ) == "403 Forbidden"
