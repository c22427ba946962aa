"""heat.conf: read as oslo.config reads it, understood, written."""
