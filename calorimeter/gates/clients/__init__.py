"""What experiments send: visits from many sources, held connections, calls to Heat, stacks."""
