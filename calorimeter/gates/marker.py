"""The pytest marker of gates; a module of its own, because the plugin reads it in every test suite."""

MARKER = "calorimeter_gate"
