"""Gates T: the service level of a recorded load."""
