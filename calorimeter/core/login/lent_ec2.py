"""EC2 credentials that the suite makes for itself, where CFN needs them and the identity has none.

A guardian makes them, and removes them when the command ends, however it ends. The secret is in the
environment of this process and of those that it starts, never in a file. A file names the access key, so
that the next command removes what a killed guardian left.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from calorimeter.core import files, foreign, paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.core.host import guardian, ownership
from calorimeter.core.login import keystone_login
from calorimeter.core.secrecy.secrets import Secret

if TYPE_CHECKING:
    from keystoneauth1.session import Session

OF, ACCESS, SECRET = "CALORIMETER_EC2_OF", "CALORIMETER_EC2_ACCESS", "CALORIMETER_EC2_SECRET"
"""Environment variables: the deployment file, and the credentials that were made for it."""

REPLY_S = 60.0
REQUEST_S = 20.0
LEAVE_S = 30.0

_guardians: list[guardian.Guardian] = []


def lend(deployment: Deployment) -> tuple[Deployment, str | None]:
    """The deployment with EC2 credentials for the time of this process, and why it has none.

    They are those of its file, or those that a command made which started this one. Else they are made.
    """
    given = inherited(deployment)
    identity = given.identity
    if identity is None or identity.ec2_access is not None or given.cfn is None:
        return given, None
    if not _guardians:
        atexit.register(give_back)
    guard = guardian.start("calorimeter.core.login.ec2_guardian", str(deployment.path), mute=True)
    _guardians.append(guard)  # its pipe is closed when this process ends, or is killed
    try:
        reply = json.loads(guardian.read_reply(guard, REPLY_S) or "{}")
    except ValueError:
        reply = {}
    if "secret" not in reply:
        guardian.dismiss(_guardians.pop(), LEAVE_S)
        return given, str(reply.get("why", "Keystone did not answer in time"))
    os.environ |= {OF: str(deployment.path), ACCESS: reply["access"], SECRET: reply["secret"]}
    return inherited(deployment), None


def needed(deployment: Deployment) -> Deployment:
    """As `lend`, for a load that speaks CFN. Raises InputError if there are no EC2 credentials."""
    found, why = lend(deployment)
    if why is not None:
        raise InputError(
            str(deployment.path),
            f"has no EC2 credentials, and none can be made: {why}",
            "CFN needs identity.ec2_access and identity.ec2_secret",
        )
    return found


def give_back(within_s: float = LEAVE_S) -> None:
    """Remove what was lent now: at its end, a command waits for it."""
    for name in (OF, ACCESS, SECRET):
        os.environ.pop(name, None)
    while _guardians:
        guardian.dismiss(_guardians.pop(), within_s)


def inherited(deployment: Deployment) -> Deployment:
    """The deployment with the credentials that were lent to it in this process or one that started it."""
    identity = deployment.identity
    lent = os.environ.get(OF) == str(deployment.path) and ACCESS in os.environ
    if not lent or identity is None or identity.ec2_access is not None:
        return deployment
    made = identity.model_copy(update={"ec2_access": os.environ[ACCESS], "ec2_secret": Secret(env=SECRET)})
    found = deployment.model_copy(update={"identity": made})
    found._path = deployment.path
    return found


class Ec2Account:
    """The EC2 credentials of a deployment's user in its project, at Keystone."""

    def __init__(self, deployment: Deployment) -> None:
        """Log in. Raises InputError."""
        self._login = keystone_login.of(deployment)
        self._session: Session = self._login.session(deployment, REQUEST_S, with_token=True)
        user = self._login.asked(lambda: foreign.identifier(self._session.get_user_id()))
        self._project = self._login.asked(self._session.get_project_id)
        self._url = f"{self._login.api}/users/{quote(user, safe='')}/credentials/OS-EC2"

    def make(self) -> tuple[str, str]:
        """(access key, secret) of new credentials. Raises InputError if Keystone refuses."""
        made = self._asked("POST", self._url, json={"tenant_id": self._project})
        try:
            pair = foreign.table(foreign.member(foreign.json_value(made.content), "credential"))
            access = foreign.identifier(pair.get("access"))
            if access.startswith("."):
                raise UnintelligibleError("an access key that is no file's name")
            return access, foreign.token(pair.get("secret"))
        except UnintelligibleError as problem:
            raise InputError(self._login.where, f"Keystone's EC2 credentials: {problem}") from problem

    def remove(self, access: str) -> None:
        """Remove credentials; none is left if they are gone already. Raises InputError."""
        self._asked("DELETE", f"{self._url}/{quote(access, safe='')}", gone=True)

    def _asked(self, method: str, url: str, *, gone: bool = False, **more: Any) -> Any:
        from keystoneauth1 import exceptions

        try:
            return self._session.request(url, method, **more)
        except exceptions.NotFound:
            if gone:
                return None
            raise InputError(self._login.where, "Keystone has no EC2 credentials here (404)") from None
        except exceptions.ClientException as problem:
            why = str(problem).partition(" (HTTP")[0].partition("\n")[0]
            raise InputError(
                self._login.where, f"Keystone refuses {self._login.who} EC2 credentials ({why})"
            ) from problem


def folder(deployment: Path) -> Path:
    """Where the access keys are named that were made for a deployment."""
    name = hashlib.sha256(str(deployment.resolve()).encode()).hexdigest()[:16]
    return paths.state() / "ec2" / name


@contextmanager
def named(deployment: Path, access: str) -> Iterator[Path]:
    """Keep an access key's name in a file, locked, while this process lives; the caller removes it."""
    made = ownership.own(files.make_folder(folder(deployment)))
    with files.append(made / access) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield made / access


def remove_leftovers(deployment: Deployment) -> int:
    """Remove credentials that a killed command and its guardian left; how many. Raises InputError."""
    there = ownership.own(folder(deployment.path))
    left = [path for path in sorted(there.glob("*")) if not _is_held(path)] if there.exists() else []
    if left:
        account = Ec2Account(deployment)
        for path in left:
            account.remove(path.name)
            files.remove(path)
    return len(left)


def _is_held(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return files.is_locked(path)
    return True
