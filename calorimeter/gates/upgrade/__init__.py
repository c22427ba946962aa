"""Gates U: an upgrade of Heat under load, from its record."""
