"""What an owner wants, as options and as a deployment file say it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.config import releases, wanted
from calorimeter.core import deployment as deployments
from calorimeter.core.errors import InputError

PLAIN = """
name = "d"
[rest]
url = "http://10.0.0.1:8004/v1"
proxy_section = "rest"
backends = [{ name = "a", address = "10.0.0.2:8004" }]
"""


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("24", 24),
        ("24.1.2", 24),
        ("1:24.0.0-2", 24),
        ("24.0.0.0rc1", 24),
        ("2025.1", 24),
        ("41", None),
        ("2099.1", None),
        ("2023.1", 20),
        ("2026.2", 27),
        ("Epoxy", 24),
        ("train", 13),
        ("victoria", 15),
        ("antelope", 20),
        ("2025.3", None),
        ("2025", None),
        ("0", None),
        ("", None),
        ("latest", None),
    ],
)
def test_a_release_of_heat_by_any_of_its_names(text: str, release: int | None) -> None:
    """A version of Heat, a release of OpenStack by date or name; anything else is no release."""
    assert releases.heat(text) == release


@pytest.mark.parametrize(
    ("text", "version"),
    [("4.3", (4, 3)), ("3.10.8-1.1+deb12u1", (3, 10)), ("v4.0.5", (4, 0)), ("4", None), ("new", None)],
)
def test_a_version_of_rabbitmq(text: str, version: tuple[int, int] | None) -> None:
    """Major and minor version, also as Debian writes them."""
    assert releases.rabbitmq(text) == version


def test_a_balance_is_wanted_for_both_apis_or_for_one() -> None:
    """The balance of one API has precedence, whatever the order."""
    assert wanted.balances(()) is None
    assert wanted.balances(("source",)) == {"rest": "source", "cfn": "source"}
    assert wanted.balances(("cfn=leastconn",)) == {"cfn": "leastconn"}
    for given_ in (("cfn=first", "source"), ("source", "cfn=first")):
        assert wanted.balances(given_) == {"rest": "source", "cfn": "first"}
    assert wanted.balances(("hdr(Host)",)) == {"rest": "hdr", "cfn": "hdr"}


@pytest.mark.parametrize(
    ("balance", "heat", "rabbitmq", "message"),
    [
        ("sources", None, None, "--expect-balance: 'sources' given; valid: .* did you mean 'source'"),
        ("res=source", None, None, "--expect-balance: unknown API 'res'; .* did you mean 'rest'"),
        ("=source", None, None, "--expect-balance: unknown API ''"),
        ("source", "victorya", None, "--heat-release: 'victorya' given; .* did you mean 'victoria'"),
        ("source", "24", "four", "--rabbitmq-release: 'four' given; valid: a version"),
    ],
)
def test_a_mistyped_option_is_one_line(
    balance: str, heat: str | None, rabbitmq: str | None, message: str
) -> None:
    """The line has the option, what was given, what is valid and the nearest name."""
    with pytest.raises(InputError, match=message):
        wanted.options((balance,), heat, rabbitmq)


@settings(max_examples=60)
@given(st.text(max_size=12))
def test_any_text_is_a_value_or_one_line(text: str) -> None:
    """No text given as an option ends in a traceback."""
    for read in (
        lambda: wanted.options((text,), None, None),
        lambda: wanted.options((), text, None),
        lambda: wanted.options((), None, text),
    ):
        try:
            read()
        except InputError as problem:
            assert "\n" not in str(problem)


def test_a_deployment_file_says_it_in_expect_and_versions(tmp_path: Path) -> None:
    """What is not said is absent; versions that are none are not judged."""

    def read(text: str) -> dict[str, object]:
        file = tmp_path / "deployment.toml"
        file.write_text(PLAIN + text)
        return wanted.of_deployment(deployments.read(file))

    unsaid = read('[versions]\nheat = "unknown"\n')
    assert (unsaid["expect_balance"], unsaid["max_detection_s"]) == ({}, None)
    assert (unsaid["heat_release"], unsaid["rabbitmq_release"]) == (None, None)
    said = read(
        '[expect]\nbalance = "source"\nmax_detection_s = 9\n[expect.cfn]\nbalance = "leastconn"\n'
        '[versions]\nheat = "24.1.2"\nrabbitmq = "4.0.5-8"\n'
    )
    assert said == {
        "max_detection_s": 9.0,
        "tcp_keepalive": True,
        "expect_balance": {"rest": "source", "cfn": "leastconn"},
        "heat_release": 24,
        "rabbitmq_release": (4, 0),
    }
