"""Projects, users and credentials of a load, and their removal."""
