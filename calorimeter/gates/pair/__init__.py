"""Gates V: several proxies that share a virtual address."""
