"""The table of options: what it says of names and values, compared with the installed Heat."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from calorimeter.config.heat import known_options, option_values
from calorimeter.config.heat.known_options import OptionName, Reading, look_up
from tests.places import CLONE

PYTHON = CLONE / ".venv-heat/bin/python"
TABLE = Path(known_options.__file__).with_name("options.json")
RABBIT = "oslo_messaging_rabbit"


def test_the_table_holds_each_release_with_its_libraries() -> None:
    """Heat 12 to 27 with the libraries of their day, and the maintained ones with the newest, too."""
    installed = known_options.installations()
    assert [each.release for each in installed if not each.newest] == list(range(12, 28))
    assert [each.release for each in installed if each.newest] == [24, 25, 26, 27]
    assert all(
        {"oslo.messaging", "oslo.db", "oslo.log", "keystonemiddleware"} <= {*each.versions}
        for each in installed
    )


def test_the_table_is_small() -> None:
    """It is less than 100 kB."""
    assert TABLE.stat().st_size < 100_000


@pytest.mark.parametrize(
    ("group", "key", "release", "reading"),
    [
        ("DEFAULT", "num_engine_workers", None, Reading.READ),
        ("DEFAULT", "num_engine_workers", 12, Reading.READ),
        ("ec2authtoken.east", "auth_url", 26, Reading.READ),
        ("clients_aodh", "ca_file", 27, Reading.READ),
        (RABBIT, "rabbit_quorum_queue", 17, Reading.COMING),
        (RABBIT, "rabbit_quorum_queue", 18, Reading.READ),
        (RABBIT, "rabbit_quorum_queues", None, Reading.UNKNOWN),
        (RABBIT, "heartbeat_in_pthread", None, Reading.DROPPED),
        (RABBIT, "heartbeat_in_pthread", 23, Reading.ENDING),
        (RABBIT, "heartbeat_in_pthread", 26, Reading.DROPPED),
        (RABBIT, "heartbeat_in_pthread", 27, Reading.GONE),
        (RABBIT, "heartbeat_in_pthread", 99, Reading.GONE),
        ("heat_api", "bind_host", 24, Reading.READ),
        ("heat_api", "bind_host", 25, Reading.GONE),
        ("DEFAULT", "bind_host", 24, Reading.RENAMED),
        ("DEFAULT", "sql_connection", 21, Reading.RENAMED),
        ("DEFAULT", "sql_connection", 24, Reading.GONE),
        ("default", "num_engine_workers", None, Reading.UNKNOWN),
    ],
)
def test_what_a_release_makes_of_an_option(
    group: str, key: str, release: int | None, reading: Reading
) -> None:
    """Options come, get other names and go."""
    assert look_up(group, key, release).reading is reading


def test_an_option_is_read_by_the_releases_that_list_it() -> None:
    """An option that a release lists is read; another one is gone, to come, or an old name."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    releases = [int(each["heat"].partition(".")[0]) for each in table["environments"]]
    for group, where in table["groups"].items():
        for key, variants in table["options"][where].items():
            listing = {
                release for bit, release in enumerate(releases) for mask, _ in variants if mask >> bit & 1
            }
            for release in range(12, 28, 3):
                reading = look_up(group, key, release).reading
                if release in listing:
                    assert reading in (Reading.READ, Reading.ENDING, Reading.DROPPED)
                else:
                    assert reading not in (Reading.READ, Reading.ENDING, Reading.UNKNOWN)


def test_what_replaces_an_option_and_who_had_it_last() -> None:
    """The new name is one that the judged release reads; the versions are the library's."""
    found = look_up(RABBIT, "kombu_ssl_ca_certs", 24)
    assert found.instead == (OptionName(RABBIT, "ssl_ca_file"),)
    assert (found.last, found.first) == (
        "oslo.messaging 14.9.0 (Heat 23)",
        "oslo.messaging 16.1.0 (Heat 24)",
    )
    assert look_up("heat_api", "bind_host", 27).last == "Heat 24"


def test_almost_equal_names() -> None:
    """Only a name that is nearly the same is offered."""
    assert known_options.near_key(RABBIT, "rabbit_quorum_queues") == "rabbit_quorum_queue"
    assert known_options.near_key(RABBIT, "rabbit_durable_queues") is None
    assert known_options.near_group("keystone_authtokens") == "keystone_authtoken"
    assert known_options.near_group("my_plugin") is None
    assert known_options.near_group("oslo_messaging_zmq") is None
    assert known_options.elsewhere("DEFAULT", "connection") == ("database",)


def heat(*words: str | Path, given: str = "") -> str:
    """What a script prints in Heat's environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [PYTHON, "-W", "ignore", *words],
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_the_table_agrees_with_the_installed_heat() -> None:
    """Every option that the locked Heat 24 and its libraries list is in the table, and no other one."""
    listed = json.loads(heat(CLONE / "bin/option-tables", "--list"))
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    (index,) = (
        index for index, each in enumerate(table["environments"]) if each["versions"] == listed["versions"]
    )
    found = {
        group: {
            key: table["kinds"][kind]
            for key, variants in table["options"][where].items()
            for mask, kind in variants
            if mask >> index & 1
        }
        for group, where in table["groups"].items()
    }
    assert {group: options for group, options in found.items() if options} == listed["options"]


@pytest.mark.slow
def test_values_are_refused_as_the_libraries_refuse_them() -> None:
    """Every typed option of Heat 24, with right and wrong texts of each type, as oslo.config reads it."""
    texts = (
        "",
        "1",
        "-1",
        "x",
        "true",
        "maybe",
        "99999",
        "1.5",
        "10.0.0.1",
        "::1",
        "trusts",
        "a,b",
        "http://h",
    )
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    asked = []
    refused = []
    for group, where in table["groups"].items():
        for key in table["options"][where]:
            found = look_up(group, key, 24)
            if (
                found.reading is not Reading.READ
                or found.distribution == "keystoneauth1"
                or len(found.kinds) > 1
            ):
                continue
            asked += [[group, key, text] for text in texts]
            refused += [[group, key, text] for text in texts if option_values.fault(found.kinds, text)]
    known = json.loads(heat(CLONE / "tests/data/option_oracle.py", given=json.dumps(asked)))
    # Heat registers a few options that no namespace lists.
    unlisted = [tuple(name) for name in known["unlisted"]]
    assert len(unlisted) < 20
    assert len(refused) > 500
    assert sorted(known["refused"]) == sorted(each for each in refused if tuple(each[:2]) not in unlisted)
