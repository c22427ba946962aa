"""`python -m calorimeter`: the command line, whatever the folder and the PATH."""

from calorimeter.cli import main

main()
