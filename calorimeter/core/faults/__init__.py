"""Faults: schedules, the consent that they need, injection, and healing however the suite ends."""
