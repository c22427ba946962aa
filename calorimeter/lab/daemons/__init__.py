"""The lab's daemons, one module each: configuration, start, readiness."""
