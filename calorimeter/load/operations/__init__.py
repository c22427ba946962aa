"""The operations of a workload: what users do to stacks through either API."""
