"""A real scaled-out Heat on this machine, of private daemons on loopback."""
