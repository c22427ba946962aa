"""`[database]` of a deployment file: Heat's MariaDB or MySQL, read by an account of the suite's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.toml import Model
from calorimeter.core.urls import DatabaseUrl

LONGEST_USER = 80
LONGEST_NAME = 64
"""Characters of an account (MariaDB; MySQL allows 32) and of a database."""


class Database(Model):
    """Where the database server counts the statements of Heat.

    `url` is `tcp://HOST:PORT` or `unix:///PATH` of its socket. The account needs SELECT on
    `performance_schema` and nothing else. `name` is the database (the schema) that Heat uses.
    """

    url: DatabaseUrl
    user: Annotated[str, Field(min_length=1, max_length=LONGEST_USER)]
    password: Secret
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] = "heat"
