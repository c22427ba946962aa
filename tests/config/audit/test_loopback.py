"""A3: loopback is an error only where the service is elsewhere, for the processes that use it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calorimeter.config.audit import Finding, HeatFiles, Inputs, audit
from calorimeter.config.audit import corrected as corrections
from calorimeter.core.deployment import HeatRole


def machine(number: int, text: str, *roles: HeatRole) -> HeatFiles:
    """A process on 10.0.0.NUMBER, with a REST API at that address if no role is given."""
    bind = f"[heat_api]\nbind_host = 10.0.0.{number}\n"
    name = f"{number}-{''.join(roles)}.conf"
    return HeatFiles(f"m{number}", ((name, bind + text),), frozenset(roles) or None)


def loopback(
    *heat: HeatFiles,
    rules: str = "A3-loopback-service",
    addresses: dict[str, tuple[str, ...]] | None = None,
) -> list[Finding]:
    """The findings of A3."""
    inputs = replace(Inputs(heat=heat), addresses=addresses or {})
    return [finding for finding in audit(inputs).faults if finding.rule.startswith(rules)]


def corrected(inputs: Inputs) -> str:
    """All files with the proposed changes."""
    return "".join(corrections(inputs).texts.values())


def database(host: str) -> str:
    """[database] with a host."""
    return f"[database]\nconnection = mysql://heat:pw@{host}/heat\n"


def test_the_machine_of_the_service_may_use_loopback() -> None:
    """Database and broker may be on different machines; each may use its own loopback."""
    broker = "[DEFAULT]\ntransport_url = rabbit://h:p@{}/\n"
    two = machine(2, database("localhost") + broker.format("10.0.0.3"))
    three = machine(3, database("10.0.0.2") + broker.format("127.0.0.1"))
    four = machine(4, database("10.0.0.2") + broker.format("10.0.0.3"))
    assert loopback(two, three, four, rules="A3") == []
    wrong = machine(4, database("[::1]") + broker.format("10.0.0.3"))
    (fault,) = loopback(two, three, wrong, rules="A3")
    assert (fault.where, fault.severity) == ("m4", "error")
    assert "connection = mysql://heat:pw@10.0.0.2/heat\n" in corrected(Inputs(heat=(two, three, wrong)))


def test_a_name_that_is_not_resolved_may_be_the_machine_itself() -> None:
    """A note without a change; with the address of the name it is an error, or nothing."""
    files = machine(2, database("localhost")), machine(3, database("db.example.org"))
    (fault,) = loopback(*files)
    assert (fault.severity, fault.changes) == ("note", ())
    assert loopback(*files, addresses={"db.example.org": ("10.0.0.2",)}) == []
    (fault,) = loopback(*files, addresses={"db.example.org": ("10.0.0.9",)})
    assert fault.severity == "error"


def test_without_another_address_nothing_is_proposed() -> None:
    """If every machine names its own loopback, the address of the service is in no file."""
    faults = loopback(machine(2, database("localhost")), machine(3, database("localhost")))
    assert [(fault.where, fault.severity, fault.changes) for fault in faults] == [
        ("m2", "error", ()),
        ("m3", "error", ()),
    ]


@pytest.mark.parametrize(("role", "count"), [("rest", 0), ("cfn", 0), ("engine", 1)])
def test_only_engines_use_the_database(role: HeatRole, count: int) -> None:
    """The API's file may have a database that it never uses."""
    api = machine(2, "", "rest")
    one = machine(2, database("localhost"), role)
    assert len(loopback(api, one, machine(3, database("10.0.0.3")))) == count


def test_an_old_option_that_is_not_in_force_does_not_count() -> None:
    """sql_connection of a distribution's file, replaced by [database] connection, is not judged."""
    old = "[DEFAULT]\nsql_connection = mysql://heat:heat@localhost/heat\n"
    assert loopback(machine(2, old + database("10.0.0.9")), machine(3, database("10.0.0.9"))) == []


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        ("rabbit://localhost:p@localhost:5672/", "rabbit://localhost:p@10.0.0.9:5672/"),
        ("rabbit://h:localhost@LocalHost/v", "rabbit://h:localhost@10.0.0.9/v"),
        ("rabbit://h:p@[::1]:5673//", "rabbit://h:p@10.0.0.9:5673//"),
    ],
)
def test_only_the_host_is_replaced(one: str, expected: str) -> None:
    """User, password, port and virtual host of the URL stay as they are."""
    texts = (f"[DEFAULT]\ntransport_url = {url}\n" for url in (one, "rabbit://h:p@10.0.0.9/"))
    files = tuple(machine(n, text) for n, text in zip((2, 3), texts, strict=True))
    assert len(loopback(*files, rules="A3")) == 1
    assert f"transport_url = {expected}\n" in corrected(Inputs(heat=files))
