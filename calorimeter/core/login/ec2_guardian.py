"""Makes EC2 credentials for a command of the suite, and removes them when it ends or was killed.

`python -m calorimeter.core.login.ec2_guardian DEPLOYMENT` prints one line of JSON to the suite's pipe,
`{"access", "secret"}` or `{"why"}`, and waits until standard input is closed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.deployment import as_written
from calorimeter.core.errors import InputError
from calorimeter.core.host import guardian
from calorimeter.core.login import lent_ec2

TRIES = 20
PAUSE_S = 1.0


def main() -> int:
    """Run the guardian; exit status 0 if nothing is left, 1 if Keystone did not remove it."""
    guardian.ignore_signals()
    path = Path(sys.argv[1])
    try:
        deployment = as_written(path)
        lent_ec2.remove_leftovers(deployment)
        access, secret = lent_ec2.Ec2Account(deployment).make()
    except InputError as problem:
        guardian.reply(json.dumps({"why": str(problem)}))
        return 0
    with lent_ec2.named(path, access) as file:
        guardian.reply(json.dumps({"access": access, "secret": secret}))
        guardian.wait_for_dismissal()
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE_S)  # Keystone is away; no event announces its return
            try:
                lent_ec2.Ec2Account(deployment).remove(access)
            except InputError:
                continue
            files.remove(file)
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
