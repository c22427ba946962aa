"""Gates A: the audit of the deployment's files."""
