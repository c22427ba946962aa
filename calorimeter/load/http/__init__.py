"""HTTP/1.1 for load generation: connections, source addresses, deadlines, and what answers mean."""
