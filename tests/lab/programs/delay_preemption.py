"""Let a returning proxy of the pair NAME take the address back after DELAY seconds, until `lab heal`."""

from __future__ import annotations

import sys
from dataclasses import replace

from calorimeter.lab.sabotage import pair_sabotage

name, delay_s = sys.argv[1], float(sys.argv[2])
change = pair_sabotage.PairSabotage(
    "", "", keepalived=lambda config: replace(config, preempt_delay_s=delay_s)
)
pair_sabotage.vary(name, change)
