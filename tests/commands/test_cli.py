"""The command line's table: who heals first what a killed run left broken."""

import click
import pytest

from calorimeter import cli


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_commands_that_touch_a_deployment_heal_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of `TOUCHING` heals leftovers once, before its room is imported; the others do not."""
    healed: list[str] = []

    def imported(room: str) -> object:
        healed.append(f"then {room}")
        return type("Room", (), {cli.COMMANDS[name][0].partition(":")[2]: click.Command(name)})

    monkeypatch.setattr(cli, "_heal_leftovers", lambda: healed.append("healed"))
    monkeypatch.setattr(cli, "import_module", imported)
    assert cli.calorimeter.get_command(click.Context(cli.calorimeter), name) is not None
    room = cli.COMMANDS[name][0].partition(":")[0]
    assert healed == ["healed"] * (name in cli.TOUCHING) + [f"then {room}"]


def test_commands_that_touch_a_deployment_exist() -> None:
    """A misspelt name would heal nothing; `clean` removes stacks, which a frozen engine would not."""
    assert set(cli.TOUCHING) <= set(cli.COMMANDS)
    assert "clean" in cli.TOUCHING
