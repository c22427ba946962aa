"""Changes of files: proposed by rules, tried on the texts, and kept only if nothing else changes."""
