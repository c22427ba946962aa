"""Ways to make a lab wrong that some gate must find."""
