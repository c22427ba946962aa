"""`python -m calorimeter`: the command line, also if `calorimeter` is not on the PATH."""

from calorimeter.cli import main

main()
