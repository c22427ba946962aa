"""deployment.toml: what is read from it, and the one line said of a wrong one."""

from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core.deployment import Consent, address
from calorimeter.core.errors import InputError

SMALLEST = """
name = "cloud"
[rest]
url = "http://10.0.0.1:8004/v1"
proxy_section = "rest_api_proxy"
backends = [{ name = "b", address = "10.0.0.2:8004" }, { name = "c", address = "10.0.0.3:8004" }]
"""


def written(tmp_path: Path, text: str) -> Path:
    """A deployment file with `text`."""
    path = tmp_path / "deployment.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_smallest_file_allows_looking_only(tmp_path: Path) -> None:
    """A file with one API is enough, and outside a lab the consent is passive."""
    found = deployments.read(written(tmp_path, SMALLEST))
    assert [b.name for b in found.rest.backends] == ["b", "c"]
    assert (found.rest.front.host, found.rest.front.port) == ("10.0.0.1", 8004)
    assert found.consent.level is Consent.PASSIVE
    assert found.parts == ()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("[expct]\n", "expct: unknown key 'expct'; valid: "),
        ("[expct]\n", "did you mean 'expect'?"),
        ('[expect]\nbalanse = "source"\n', "expect.balanse: unknown key 'balanse'"),
        ('[expect]\nmax_detection_s = "two"\n', "expect.max_detection_s: 'two' given; input should be"),
        ('[consent]\nlevel = "invasiv"\n', "did you mean 'invasive'?"),
        ('[engines]\nnames = ["e"]\nworkers = 0\n', "engines.workers: 0 given; input should be greater"),
        ("[broker]\n", "broker.amqp: is missing"),
        ('[[proxy]]\nstats = ["ftp://x"]\n', "proxy[1].stats[1]: 'ftp://x' given; a URL here starts with"),
        (
            "[cfn]\nurl = 'http://10.0.0.1:8000'\nproxy_section = 'c'\nbackends = []\n",
            "0 given; valid: 1 or more",
        ),
        ("x = \n", "is not valid TOML"),
    ],
)
def test_wrong_file_gets_one_clear_line(tmp_path: Path, extra: str, said: str) -> None:
    """A wrong file is answered by one line: where, what was given, what is valid, the nearest match."""
    path = written(tmp_path, SMALLEST + extra)
    with pytest.raises(InputError) as refused:
        deployments.read(path)
    line = str(refused.value)
    assert line.startswith(f"{path}")
    assert said in line
    assert "\n" not in line


def test_password_in_a_url_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """A URL that holds a password is refused, and the line does not show the password."""
    text = SMALLEST + '[broker]\namqp = "amqp://heat:hunter2@10.0.0.1"\nuser="heat"\npassword={env="P"}\n'
    with pytest.raises(InputError, match="must not contain a password") as refused:
        deployments.read(written(tmp_path, text))
    assert "hunter2" not in str(refused.value)


def test_password_given_in_place_of_a_reference_is_not_repeated(tmp_path: Path) -> None:
    """A password written where a reference belongs is refused, and the line does not show it."""
    text = SMALLEST + '[broker]\namqp = "amqp://10.0.0.1"\nuser="heat"\npassword="hunter2"\n'
    with pytest.raises(InputError, match="broker.password: a value that is not shown here") as refused:
        deployments.read(written(tmp_path, text))
    assert "hunter2" not in str(refused.value)
    assert 'name where the secret is, { env = "NAME" }' in str(refused.value)


def test_backends_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two backends of one name could not be told apart in any verdict."""
    text = SMALLEST.replace('name = "c"', 'name = "b"')
    with pytest.raises(InputError, match="two entries named 'b'"):
        deployments.read(written(tmp_path, text))


def test_log_file_and_stats_socket_have_no_host(tmp_path: Path) -> None:
    """A log file and a Unix socket are named by their path alone."""
    more = '[[proxy]]\nstats = ["unix:///run/haproxy.sock"]\nlogs = ["file:///var/log/haproxy.log"]\n'
    (proxy,) = deployments.read(written(tmp_path, SMALLEST + more)).proxy
    assert proxy.logs == ("file:///var/log/haproxy.log",)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is named, with the system's reason."""
    with pytest.raises(InputError, match="nowhere.toml: cannot be read"):
        deployments.read(tmp_path / "nowhere.toml")


def test_addresses_of_both_families_are_read() -> None:
    """HOST:PORT, with an IPv6 host in brackets, is read and written alike."""
    assert str(address("10.0.0.1:8004")) == "10.0.0.1:8004"
    assert str(address("[fe80::1]:8004")) == "[fe80::1]:8004"


@pytest.mark.parametrize("text", ["10.0.0.1", ":80", "h:0", "h:65536", "h:x", "[zz::]:80"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """What has no host, no port or a port out of range is no address."""
    with pytest.raises(ValueError, match=r"HOST:PORT|does not appear"):
        address(text)


def test_consent_covers_what_is_below_it() -> None:
    """Consent to break parts covers saturating and looking; consent to look covers nothing more."""
    assert Consent.INVASIVE.allows(Consent.LOAD)
    assert not Consent.PASSIVE.allows(Consent.LOAD)


def test_a_relative_certificate_lies_beside_the_file(tmp_path: Path) -> None:
    """Wherever the suite is started from: every reader of it gets the same path."""
    file = written(tmp_path, SMALLEST + '[tls]\nca_file = "ca.pem"\n')
    tls = deployments.read(file).tls
    assert tls.for_requests == str(tmp_path / "ca.pem")
    assert tls.model_copy(update={"verify": False}).for_requests is False
    assert deployments.read(file).path == file
