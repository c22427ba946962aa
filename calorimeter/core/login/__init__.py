"""Identities, and how they log in at Keystone: over HTTP that takes no secret elsewhere."""
