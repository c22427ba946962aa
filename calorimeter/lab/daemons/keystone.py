"""Keystone under gunicorn."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from threading import Event

from calorimeter.core import files
from calorimeter.lab.daemons import mariadb, readiness
from calorimeter.lab.daemons.daemon import Daemon, run
from calorimeter.lab.lab_state import REGION, Lab, write_private

PASSWORD_ROUNDS = 4
"""Cost of a password's hash, as a power of two."""

_CONF = """\
[DEFAULT]
use_stderr = true
[database]
connection = {database}
[token]
provider = fernet
# Longer than any load test, so that none measures token renewal by accident.
expiration = 43200
[fernet_tokens]
key_repository = {home}/fernet-keys
[fernet_receipts]
key_repository = {home}/fernet-keys
[credential]
key_repository = {home}/credential-keys
[identity]
# The minimum that bcrypt allows: a lab measures Heat, not password hashing.
password_hash_rounds = {rounds}
[cache]
enabled = true
backend = dogpile.cache.pymemcache
memcache_servers = {memcached}
"""

_APPLICATION = """\
# Keystone parses sys.argv at start-up and exits on gunicorn's options, so they are hidden from it.
import sys

sys.argv = ["keystone"]

from keystone.server.wsgi import initialize_public_application

application = initialize_public_application()
"""


def daemon(lab: Lab) -> Daemon:
    """Keystone's public API under gunicorn."""
    home = lab.folder / "keystone"
    return Daemon(
        part="keystone",
        argv=(
            lab.programs.heat("gunicorn"),
            "--no-control-socket",
            *("--bind", lab.address("keystone")),
            *("--worker-class", "gthread", "--workers", "2", "--threads", "8"),
            *("--preload", "--timeout", "120", "--keep-alive", "30", "--backlog", "1024"),
            *("--worker-tmp-dir", str(home)),
            *("--chdir", str(home), "keystone_application"),
        ),
        environment=_environment(home),
        ready=lambda: readiness.answers(f"{lab.url('keystone')}/v3"),
        deadline_s=90,
    )


def prepare(lab: Lab) -> None:
    """Write the configuration and new keys."""
    home = lab.folder / "keystone"
    for name in ("fernet-keys", "credential-keys"):
        keys = files.make_folder(home / name)
        for index in ("0", "1"):
            write_private(keys / index, base64.urlsafe_b64encode(os.urandom(32)).decode())
    # The highest number is the key that encrypts.
    write_private(home / "credential-keys" / "1", credential_key(lab))
    text = _CONF.format(
        database=mariadb.url(lab, "keystone"),
        home=home,
        rounds=PASSWORD_ROUNDS,
        memcached=lab.address("memcached"),
    )
    write_private(home / "keystone.conf", text)
    write_private(home / "keystone_application.py", _APPLICATION)


def credential_key(lab: Lab) -> str:
    """The key that encrypts EC2 credentials in the database, in the text form of Fernet keys."""
    return base64.urlsafe_b64encode(bytes.fromhex(lab.secrets["credential_key"])).decode()


def public_url(lab: Lab) -> str:
    """The URL in the service catalog."""
    return f"{lab.url('keystone')}/v3"


def bootstrap(lab: Lab, cancel: Event | None = None) -> None:
    """Create the administrator, the basic roles and the identity service in the database."""
    url = public_url(lab)
    home = lab.folder / "keystone"
    run(
        lab,
        "keystone",
        [
            lab.programs.heat("keystone-manage"),
            *("--config-file", str(home / "keystone.conf"), "bootstrap"),
            *("--bootstrap-public-url", url, "--bootstrap-internal-url", url, "--bootstrap-admin-url", url),
            *("--bootstrap-region-id", REGION),
        ],
        120,
        extra={**_environment(home), "OS_BOOTSTRAP_PASSWORD": lab.secrets["keystone_admin"]},
        cancel=cancel,
    )


def _environment(home: Path) -> dict[str, str]:
    return {"OS_KEYSTONE_CONFIG_FILES": str(home / "keystone.conf"), "OS_KEYSTONE_CONFIG_DIR": str(home)}
