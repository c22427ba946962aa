"""The lab's MariaDB as the suite reads it: what is written for it; nothing of it runs."""

from __future__ import annotations

from pathlib import Path

from calorimeter.commands.lab_up import topology
from calorimeter.core.deployment import Deployment
from calorimeter.core.toml import parse
from calorimeter.lab import deployment_file, lab_state, programs
from calorimeter.lab.daemons import mariadb
from calorimeter.lab.lab_state import Lab


def planned(folder: Path, **given: int) -> Lab:
    """A lab as `lab up` plans it; `given` are ports."""
    asked = topology({"name": "planned"})
    ports = {name: 20000 + n for n, name in enumerate(asked.port_names)} | given
    secrets = {**lab_state.fresh_secrets(), "ec2_access": "access", "ec2_secret": "secret"}
    return Lab(folder, asked.model_copy(update={"ports": ports}), secrets, programs.found())


def test_the_deployment_file_names_the_account_and_not_its_password(tmp_path: Path) -> None:
    """The password is in secrets.toml, as others are, and is the account's own."""
    lab = planned(tmp_path)
    text = deployment_file.render(lab)
    found = parse(text, Deployment, where="x").database
    assert found is not None
    assert (found.url, found.user, found.name) == (f"tcp://{lab.address('mariadb')}", "calorimeter", "heat")
    assert (str(found.password.file), found.password.key) == ("secrets.toml", "mariadb_observer")
    assert lab.secrets["mariadb_observer"] not in text
    assert len({*lab.secrets.values()}) == len(lab.secrets)


def test_the_server_counts_statements_and_the_account_may_read_only_that(tmp_path: Path) -> None:
    """By the files that it starts with, which nobody else can read."""
    lab = planned(tmp_path)
    mariadb.configure(lab)
    options = (tmp_path / "mariadb" / "mariadb.cnf").read_text().splitlines()
    counting = [line for line in options if line.startswith("performance-schema")]
    assert counting[:3] == [
        "performance-schema = on",
        "performance-schema-instrument = '%=OFF'",
        "performance-schema-instrument = 'statement/%=ON'",
    ]
    sql = (tmp_path / "mariadb" / "init.sql").read_text().splitlines()
    grants = [line for line in sql if line.startswith("GRANT") and "calorimeter" in line]
    assert grants == ["GRANT SELECT ON performance_schema.* TO calorimeter@'%';"]
    assert (tmp_path / "mariadb" / "init.sql").stat().st_mode & 0o777 == 0o600
