"""How fast the generator is, against others, on this machine."""
