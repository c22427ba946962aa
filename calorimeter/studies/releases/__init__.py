"""What a release of Heat costs: 24 to 27 side by side, on labs that differ in nothing else."""
