"""Bring up the lab whose topology is given as JSON: its parts may run releases of their own."""

import sys

from calorimeter.lab import bring_up, combinations
from calorimeter.lab.lab_topology import LabTopology

asked = LabTopology.model_validate_json(sys.argv[1])
combinations.check(asked, {})
bring_up.up(asked, {}, print)
