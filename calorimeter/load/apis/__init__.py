"""Heat's two APIs, a tenant's quota, and Keystone's tokens, as a load uses them."""
