"""heat.conf: read as oslo.config reads it, interpreted as Heat does, and written."""
