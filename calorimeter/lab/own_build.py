"""Programs that the user built: whether they run, and their versions, before anything starts."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import quoted

ASK_S = 10.0
"""Time in which a program must tell its version; RabbitMQ's tool starts an Erlang VM for that."""


@dataclass(frozen=True, slots=True)
class Build:
    """A program that may be one of the user's own: how its version is asked, and the earliest that works.

    `ask` is the command, with `{path}` for the program and `{folder}` for its folder.
    """

    option: str
    ask: tuple[str, ...]
    says: re.Pattern[str]
    earliest: tuple[int, int]
    example: str


HAPROXY = Build(
    "--haproxy",
    ("{path}", "-v"),
    re.compile(r"^HA-?Proxy version (?P<version>(?P<major>\d{1,4})\.(?P<minor>\d{1,4})\S*)", re.M | re.I),
    # `http-check expect` together with `option httpchk`, and `show servers conn` as 2.6 has them.
    (2, 2),
    "/opt/haproxy/sbin/haproxy",
)

RABBITMQ = Build(
    "--rabbitmq",
    ("{folder}/rabbitmqctl", "--offline", "version"),
    re.compile(r"^(?P<version>(?P<major>\d{1,4})\.(?P<minor>\d{1,4})\.\S+)$", re.M),
    (3, 8),
    "/opt/rabbitmq/sbin/rabbitmq-server",
)
