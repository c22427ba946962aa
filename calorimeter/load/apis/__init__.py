"""Heat's two APIs and Keystone's tokens, as a load uses them."""
