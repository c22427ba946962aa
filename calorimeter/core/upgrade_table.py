"""`[upgrade]` of a deployment file: the commands that a rolling upgrade of Heat consists of."""

from __future__ import annotations

from typing import Literal, get_args

from calorimeter.core.toml import Model

CommandName = Literal[
    "install", "sync_database", "add_vhost", "remove_vhost",
    "start", "start_beside", "remove_beside", "remove_engine", "reload", "reload_alone",
]  # fmt: skip

COMMAND_NAMES: tuple[CommandName, ...] = get_args(CommandName)


class UpgradeTable(Model):
    """Shell commands of a rolling upgrade, one for each action of a procedure (`calorimeter upgrade`).

    `release` is the release of Heat that runs now, by its major version. Each command reads $TO (the
    release), $VHOST (RabbitMQ's virtual host) and, if it is about one part, $PART; it may be repeated, and
    ends when it took effect, or fails. `start` starts a part that was stopped as release $TO on $VHOST;
    `start_beside` starts another engine beside engine $PART, `remove_beside` removes it again, and
    `remove_engine` stops engine $PART for good. `reload` starts a new HAProxy that takes over the listening
    sockets of proxy $PART (`expose-fd listeners`), `reload_alone` one that binds its own. Drain, undrain
    and stop are commands of `[[parts]]`.
    """

    release: str | None = None
    install: str | None = None
    sync_database: str | None = None
    add_vhost: str | None = None
    remove_vhost: str | None = None
    start: str | None = None
    start_beside: str | None = None
    remove_beside: str | None = None
    remove_engine: str | None = None
    reload: str | None = None
    reload_alone: str | None = None

    def command(self, name: CommandName) -> str | None:
        """The command of an action; None if the owner gave none."""
        found: str | None = getattr(self, name)
        return found
