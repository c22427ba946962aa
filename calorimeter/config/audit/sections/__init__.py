"""Which section of HAProxy serves which API: votes with reasons, routes, and what the Heat files say."""
