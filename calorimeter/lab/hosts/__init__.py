"""Labs whose hosts are network namespaces: places, network, faults of hosts."""
