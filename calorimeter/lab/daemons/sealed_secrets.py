"""Passwords and an EC2 credential in the form in which Keystone's database holds them.

It runs in Keystone's environment, with the libraries that Keystone reads them with, and imports nothing of
Calorimeter: `python sealed_secrets.py < JSON > JSON`. Secrets come through standard input, since others can
see arguments.
"""

from __future__ import annotations

import json
import sys

import bcrypt
from cryptography.fernet import Fernet


def main() -> None:
    """Hash `passwords` (name → password) with `rounds`; encrypt `text` with the Fernet key `key`."""
    given = json.loads(sys.stdin.read())
    hashes = {
        name: bcrypt.hashpw(password.encode(), bcrypt.gensalt(given["rounds"])).decode()
        for name, password in given["passwords"].items()
    }
    encrypted = Fernet(given["key"]).encrypt(given["text"].encode()).decode()
    json.dump({"hashes": hashes, "encrypted": encrypted}, sys.stdout)


if __name__ == "__main__":
    main()
