"""The commands of `calorimeter`, one module a group of them."""
