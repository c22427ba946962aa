"""The words that every part of Calorimeter speaks: deployment, sample, run folder, verdict."""
