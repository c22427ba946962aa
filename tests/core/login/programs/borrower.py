"""Borrows EC2 credentials for a deployment file, prints the access key and its guardian, and waits."""

import subprocess
import sys
from pathlib import Path

from calorimeter.core.deployment import read
from calorimeter.core.login import lent_ec2

CHILD = """
import sys
from pathlib import Path
from calorimeter.core.deployment import read
from calorimeter.core.login import lent_ec2
found = lent_ec2.inherited(read(Path(sys.argv[1])))
print(found.identity.ec2_access, found.reveal(found.identity.ec2_secret))
"""

file = Path(sys.argv[1])
found, why = lent_ec2.lend(read(file))
assert why is None and found.identity is not None, why
print(found.identity.ec2_access, lent_ec2._guardians[0].pid, flush=True)
subprocess.run([sys.executable, "-c", CHILD, str(file)], check=True)
sys.stdout.flush()
sys.stdin.read()
