"""The steps of procedures on a deployment: their order, what takes them back, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment, read
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.upgrade_record import PlannedStep
from calorimeter.studies.upgrade import procedure
from calorimeter.studies.upgrade.upgrade_plan import (
    ReleaseChange,
    change,
    command_of,
    plan,
    why_unsupported,
)

PART = """
[[parts]]
name = "{name}"
kind = "{kind}"
stop = "stop {name}"
drain = "drain {name}"
undrain = "undrain {name}"
"""

FILE = """
name = "cloud"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "r"
backends = [{ name = "rest-1", address = "127.0.0.1:2" }, { name = "rest-2", address = "127.0.0.1:3" }]
[cfn]
url = "http://127.0.0.1:4/v1"
proxy_section = "c"
backends = [{ name = "cfn-1", address = "127.0.0.1:5" }, { name = "cfn-2", address = "127.0.0.1:6" }]
[broker]
nodes = [{ amqp = "amqp://127.0.0.1:7" }]
user = "heat"
password = { env = "P" }
[upgrade]
release = "24"
install = "install $TO"
sync_database = "sync"
add_vhost = "add $VHOST"
remove_vhost = "remove $VHOST"
start = "start $PART"
start_beside = "beside $PART"
remove_beside = "not beside $PART"
remove_engine = "remove $PART"
"""

NAMES = ("engine-1", "engine-2", "engine-3", "rest-1", "rest-2", "cfn-1", "cfn-2")

TO_25 = ReleaseChange("24", "25", "/", "heat-25")


def cloud(tmp_path: Path, text: str = FILE, names: tuple[str, ...] = NAMES) -> Deployment:
    """A deployment of Heat 24 with these parts."""
    parts = "".join(PART.format(name=name, kind=name.partition("-")[0]) for name in names)
    (tmp_path / "cloud.toml").write_text(text + parts)
    return read(tmp_path / "cloud.toml")


def brief(steps: tuple[PlannedStep, ...]) -> list[str]:
    """`action part` of each step."""
    return [f"{step.action} {step.name}".rstrip() for step in steps]


def test_heats_own_procedure_moves_the_last_engine_after_all_apis(tmp_path: Path) -> None:
    """Engines but the last, APIs out of rotation one by one, the last engine when its queues are empty."""
    steps = plan(procedure.find("heat"), cloud(tmp_path), TO_25)
    assert brief(steps) == [
        "install", "sync-database", "add-vhost",
        "stop engine-1", "start engine-1", "stop engine-2", "start engine-2",
        "drain rest-1", "stop rest-1", "start rest-1", "undrain rest-1",
        "drain cfn-1", "stop cfn-1", "start cfn-1", "undrain cfn-1",
        "cross",
        "drain cfn-2", "stop cfn-2", "start cfn-2", "undrain cfn-2",
        "drain rest-2", "stop rest-2", "start rest-2", "undrain rest-2",
        "await-quiet engine-3", "stop engine-3", "start engine-3",
        "remove-vhost",
    ]  # fmt: skip
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    places = {step.action: step.vhost for step in steps}
    assert (places["start"], places["await-quiet"], places["remove-vhost"]) == ("heat-25", "/", "/")


OF_HEAT = [name for name in procedure.shipped() if procedure.find(name).of == "heat"]


@pytest.mark.parametrize("name", OF_HEAT)
def test_only_the_corrected_order_stops_no_engine_before_the_last_api_has_moved(
    tmp_path: Path, name: str
) -> None:
    """That is what the corrected procedure is for; the others stop engines that may still get a call."""
    steps = brief(plan(procedure.find(name), cloud(tmp_path), TO_25))
    last_api = max(number for number, step in enumerate(steps) if step.startswith("start rest"))
    stops = [n for n, step in enumerate(steps) if step.startswith(("stop engine", "remove-engine"))]
    assert (min(stops) > last_api) == (name == "corrected")


def test_steps_are_taken_back_in_reverse_and_done_again(tmp_path: Path) -> None:
    """New engines go in reverse order; engines that were replaced start as they were before."""
    deployment = cloud(tmp_path)
    corrected = plan(procedure.find("corrected"), deployment, TO_25, take_back=True)
    assert brief(corrected)[3:12] == [
        "start-beside engine-1", "start-beside engine-2", "start-beside engine-3",
        "remove-beside engine-3", "remove-beside engine-2", "remove-beside engine-1",
        "start-beside engine-1", "start-beside engine-2", "start-beside engine-3",
    ]  # fmt: skip
    assert [step.back for step in corrected[3:12]] == [False] * 3 + [True] * 3 + [False] * 3
    assert {step.vhost for step in corrected[3:12]} == {"heat-25"}
    heat = plan(procedure.find("heat"), deployment, TO_25, take_back=True)
    back = [step for step in heat if step.back]
    assert brief(tuple(back)) == ["stop engine-2", "start engine-2", "stop engine-1", "start engine-1"]
    assert {(step.release, step.vhost) for step in back} == {("24", "/")}


def test_each_action_has_the_command_of_its_owner(tmp_path: Path) -> None:
    """Commands of an upgrade are those of [upgrade]; a part's own are drain, undrain and stop."""
    deployment = cloud(tmp_path)
    steps = plan(procedure.find("heat"), deployment, TO_25)
    found = {step.action: command_of(deployment, step) for step in steps if step.name in ("", "rest-1")}
    assert found["drain"] == "drain rest-1"
    assert found["start"] == "start $PART"
    assert found["add-vhost"] == "add $VHOST"
    assert found["cross"] is None


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("remove_engine", "needs [upgrade] remove_engine"),
        ("sync_database", "needs [upgrade] sync_database"),
    ],
)
def test_a_missing_command_is_refused_before_anything_starts(
    tmp_path: Path, missing: str, message: str
) -> None:
    """The line names the key that is missing."""
    text = "\n".join(line for line in FILE.splitlines() if not line.startswith(missing))
    with pytest.raises(InputError) as refused:
        plan(procedure.find("corrected"), cloud(tmp_path, text + "\n"), TO_25)
    assert message in str(refused.value)


def test_a_rolling_upgrade_needs_two_of_each(tmp_path: Path) -> None:
    """With a single engine there is none that could go on."""
    with pytest.raises(InputError, match="too few"):
        plan(procedure.find("heat"), cloud(tmp_path, names=NAMES[2:]), TO_25)


@pytest.mark.parametrize(
    ("start", "to", "vhost", "message"),
    [
        (None, "24", None, "--to: 24 given, which is not after 24"),
        (None, "29", None, "--to: unknown release '29'"),
        ("25", "26", None, "--from: 25 given, but 'cloud' runs Heat 24"),
        (None, "25", "/", "--vhost: '/' given, which is in use"),
    ],
)
def test_changes_that_are_no_upgrade_are_refused(
    tmp_path: Path, start: str | None, to: str, vhost: str | None, message: str
) -> None:
    """Downgrades, unknown releases, another release than the one that runs, the old virtual host."""
    with pytest.raises(InputError) as refused:
        change(cloud(tmp_path), start, to, procedure.find("heat"), vhost)
    assert message in str(refused.value)


def test_what_heat_does_not_support_has_a_reason(tmp_path: Path) -> None:
    """One release at a time; on one virtual host only releases whose engines speak alike."""
    deployment = cloud(tmp_path)
    own, one = procedure.find("heat"), procedure.find("one-vhost")
    assert change(deployment, None, "25", one, None) == ReleaseChange("24", "25", "/", "/")
    assert why_unsupported(change(deployment, None, "25", own, None)) is None
    assert why_unsupported(change(deployment, None, "25", one, None)) is None
    assert "skips 1 release;" in str(why_unsupported(change(deployment, None, "26", own, None)))
    assert "their RPC is 1.4 and 1.9" in str(why_unsupported(change(deployment, None, "26", one, None)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[steps]]\ntitle = "x"\ndo = ["stop"]\n', "needs parts"),
        ('[[steps]]\ntitle = "x"\ndo = ["run"]\n', "a command and the action 'run' need one another"),
        ('[[steps]]\ntitle = "x"\ndo = ["halt"]\n', "halt"),
        ("", "steps"),
    ],
)
def test_a_step_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    """Where, and what is valid."""
    file = tmp_path / "own.toml"
    file.write_text(f'name = "own"\nabout = "mine"\n{text}')
    with pytest.raises(InputError) as refused:
        procedure.find(str(file))
    assert message in str(refused.value)
    assert str(file) in str(refused.value)


def test_an_owners_step_runs_its_own_command(tmp_path: Path) -> None:
    """A step file may have steps with commands of their own."""
    file = tmp_path / "own.toml"
    file.write_text(
        'name = "own"\nabout = "mine"\n[[steps]]\ntitle = "reload"\ndo = ["run"]\ncommand = "reload it"\n'
        "may_fail_s = 2.5\nwithin_s = 7\n"
    )
    deployment = cloud(tmp_path)
    (step,) = plan(procedure.find(str(file)), deployment, TO_25)
    assert (command_of(deployment, step), step.may_fail_s, step.within_s) == ("reload it", 2.5, 7)


def test_a_proxy_and_a_broker_are_upgraded_by_the_same_step_files(tmp_path: Path) -> None:
    """They leave Heat's release and virtual host as they are, and take no release."""
    names = (*NAMES, "proxy-1", "broker-1", "broker-2")
    text = FILE + 'reload = "reload $PART"\n'
    deployment = cloud(tmp_path, text, names)
    written = deployment.path.read_text().replace(
        'stop = "stop broker', 'start = "start it"\nstop = "stop broker'
    )
    deployment.path.write_text(written)
    deployment = read(deployment.path)
    reload, restart = procedure.find("haproxy-reload"), procedure.find("rabbitmq-restart")
    same = change(deployment, None, None, reload, None)
    assert (same, why_unsupported(same)) == (ReleaseChange("24", "24", "/", "/"), None)
    assert brief(plan(reload, deployment, same)) == ["reload proxy-1"] * 10
    assert brief(plan(restart, deployment, same)) == [
        "stop broker-1", "start-again broker-1", "stop broker-2", "start-again broker-2",
    ]  # fmt: skip
    with pytest.raises(InputError, match="leaves Heat as it is"):
        change(deployment, None, "25", reload, None)
