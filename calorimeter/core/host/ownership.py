"""Whether what lies in the state folder is this user's own: nobody else could have put it there.

Journals name commands that are executed, and a lab's folder the configuration of its daemons. The rule is
that of ssh's StrictModes: the file, and each folder above it up to the state folder, belongs to this user
or to root, is no symbolic link, and cannot be written by others.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from calorimeter.core import paths
from calorimeter.core.bounds import is_digits
from calorimeter.core.errors import InputError


def own(path: Path, root: Path | None = None) -> Path:
    """`path` itself, if nobody else can have written it; what does not exist is nobody's.

    `root` is the highest folder that is examined (default: the state folder, which may be reached by the
    user's own symbolic links). With sudo, the user who called it counts as root does. Raises InputError.
    """
    root = root or paths.state()
    inside = path.relative_to(root)
    if root.is_symlink() and root.lstat().st_uid not in _trusted():
        raise InputError(str(root), f"is a symbolic link of {_name(root.lstat().st_uid)}", "remove it")
    real = Path(os.path.realpath(root))
    for each in reversed([real / inside, *(real / above for above in inside.parents)]):
        try:
            there = each.lstat()
        except FileNotFoundError:
            return path
        except OSError as problem:
            raise InputError(str(each), f"cannot be read ({problem.strerror})") from problem
        if why := _objection(there):
            raise InputError(str(each), f"{why[0]}, so nothing in it is used or executed", why[1])
    return path


def require_private(path: Path) -> None:
    """Raise InputError unless a file is this user's own, and nobody else may read or write it."""
    try:
        there = path.stat()
    except OSError as problem:
        raise InputError(str(path), f"cannot be read ({problem.strerror})") from problem
    if there.st_uid not in _trusted():
        raise InputError(str(path), f"belongs to {_name(there.st_uid)}", "valid: a file of your own")
    if there.st_mode & 0o077:
        raise InputError(str(path), f"has mode {stat.S_IMODE(there.st_mode):o}", "valid: 600 (chmod 600)")


def _trusted() -> set[int]:
    """Users whose files are this user's own: root, and with sudo the user who called it."""
    caller = os.environ.get("SUDO_UID", "")
    by_sudo = {int(caller)} if os.geteuid() == 0 and is_digits(caller) else set()
    return {0, os.geteuid(), *by_sudo}


def _objection(there: os.stat_result) -> tuple[str, str] | None:
    """What is wrong with a file or folder, and the remedy."""
    if stat.S_ISLNK(there.st_mode):
        return "is a symbolic link", "valid: the file or folder itself"
    if not (stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode)):
        return "is no regular file", "remove it"
    if there.st_uid not in _trusted():
        remedy = "run this as that user, or with $XDG_STATE_HOME in a folder of your own"
        return f"belongs to {_name(there.st_uid)}", f"{remedy}; if it is not theirs, remove it"
    others = stat.S_IWOTH if _is_private_group(there) else stat.S_IWOTH | stat.S_IWGRP
    if there.st_mode & others:
        mode = f"has mode {stat.S_IMODE(there.st_mode):o}, with which others can write it"
        return mode, "check its content, then `chmod go-w` it"
    return None


def _is_private_group(there: os.stat_result) -> bool:
    """Whether the group has the owner's name and no other member, as most systems set users up."""
    try:
        group, owner = grp.getgrgid(there.st_gid), pwd.getpwuid(there.st_uid)
    except KeyError:
        return False
    return (group.gr_name, group.gr_gid) == (owner.pw_name, owner.pw_gid) and not {*group.gr_mem} - {
        owner.pw_name
    }


def _name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
