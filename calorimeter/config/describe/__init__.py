"""`calorimeter describe`: a deployment.toml from the configuration files of a deployment."""
