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
        "calls that a clean stop drops: oslo.messaging alone, and Heat's engine under gate E9",
    ),
    "tracing-cost": ("tests.soak.tracing_cost", "what the broker's tracing costs Heat, in calls a second"),
    "shapes": ("tests.soak.shapes", "gates S and P on healthy labs of every shape, and the figures of S6"),
    "catalogue": (
        "tests.soak.catalogue",
        "every scenario, cut short: answers, errors, the ledger's balance",
    ),
    "healing": ("tests.soak.healing", "gates H ended in the middle: what `doctor` finds healed"),
    "remedy": (
        "tests.soak.remedy",
        "gate H9 and a frozen broker, with and without the deeper health check",
    ),
}
"""Name → (module with a `main`, its line in the list)."""


def main() -> None:
    """Run one, with the arguments that follow its name."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in SOAKS:
        width = max(map(len, SOAKS))
        print("\n".join(f"{key:<{width}}  {line}" for key, (_, line) in SOAKS.items()))
        sys.exit(2 if name else 0)
    sys.argv = [f"bin/soak {name}", *sys.argv[2:]]
    # Imported, not run as `__main__`: what a soak hands to processes of its own must be found by its name.
    sys.exit(import_module(SOAKS[name][0]).main())


if __name__ == "__main__":
    main()
