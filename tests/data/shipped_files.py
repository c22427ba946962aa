"""Print the files of the shipped folders that the arguments name; fail if one is not in the package."""

import sys

from calorimeter.core.shipped import PACKAGE, folder

for name in sys.argv[1:]:
    assert folder(name).is_relative_to(PACKAGE), name
    for file in folder(name).rglob("*"):
        if file.is_file() and file.suffix != ".pyc":
            print(f"{name}/{file.relative_to(folder(name))}")
