"""Labs whose hosts are network namespaces: where their parts are, their network, and faults of whole hosts."""
