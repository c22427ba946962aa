"""The database as evidence (gate D1)."""
