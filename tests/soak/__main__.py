"""`python -m tests.soak [NAME [ARGS]]`: long repetitions with counts; without NAME, the list of them."""

from __future__ import annotations

import sys
from importlib import import_module

SOAKS = {
    "prediction": ("tests.soak.prediction", "HAProxy's source hash against the real HAProxy"),
    "affinity": (
        "tests.soak.affinity",
        "gates S and P: false alarms on a healthy lab, misses under sabotage",
    ),
    "health": ("tests.soak.health", "gates H: false alarms on a healthy lab"),
    "engines": (
        "tests.soak.engines",
        "gates E and L: false alarms on a healthy lab, misses under sabotage",
    ),
    "clean-stop": (
        "tests.soak.clean_stop",
        "calls that a clean stop drops: by oslo.messaging alone, and by Heat's engine (gate E9)",
    ),
    "tracing-cost": ("tests.soak.tracing_cost", "cost of the broker's tracing, in calls per second"),
    "proxy-shapes": (
        "tests.soak.proxy_shapes",
        "gates S and P behind proxies of many shapes, and the figures of S6",
    ),
    "shapes": (
        "tests.soak.shapes",
        "labs of every shape, pairwise: each comes up, serves, keeps to itself and goes without a trace",
    ),
    "matrix": (
        "tests.soak.matrix",
        "all gates on every shape of deployment: false alarms on healthy labs, misses under sabotage",
    ),
    "catalogue": (
        "tests.soak.catalogue",
        "every scenario, cut short: answers, errors, the ledger's balance",
    ),
    "field": (
        "tests.soak.field",
        "audit, patches and descriptions of mutated field cases: tracebacks, unsafe patches, secrets shown",
    ),
    "fuzz": (
        "tests.soak.fuzz",
        "damaged input of every kind: tracebacks, hangs, wrong exit statuses, secrets shown",
    ),
    "healing": (
        "tests.soak.healing",
        "gates, loads and traces struck at random: all healed, cleaned, readable, and nothing left",
    ),
    "killed-up": (
        "tests.soak.killed_up",
        "lab up killed at random moments: lab down clears all of it, and the next lab up works",
    ),
    "pair": (
        "tests.soak.pair",
        "the faults of a pair of proxies: how long clients notice, and what they get",
    ),
    "forgotten-clients": (
        "tests.soak.forgotten_clients",
        "clients of dead servers that HAProxy neither answers nor closes, by the options that matter",
    ),
    "over-ssh": (
        "tests.soak.over_ssh",
        "gates that break parts of the guide's sample over ssh, by commands that [control] writes",
    ),
    "upgrades": (
        "tests.soak.upgrades",
        "upgrades under load: stacks accounted for, failed requests, losses where they are provoked",
    ),
    "remedy": (
        "tests.soak.remedy",
        "gate H9 and a frozen broker, with and without the deeper health check",
    ),
}
"""Name → (module with a `main`, its description in the list)."""


def main() -> None:
    """Run one soak, with the arguments that follow its name."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in SOAKS:
        width = max(map(len, SOAKS))
        print("\n".join(f"{key:<{width}}  {line}" for key, (_, line) in SOAKS.items()))
        sys.exit(2 if name else 0)
    sys.argv = [f"bin/soak {name}", *sys.argv[2:]]
    # Imported, not run as `__main__`: its child processes must find its functions by module name.
    sys.exit(import_module(SOAKS[name][0]).main())


if __name__ == "__main__":
    main()
