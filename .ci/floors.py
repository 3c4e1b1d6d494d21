"""Print the oldest versions that pyproject.toml allows, as pip has them: `numpy==1.26`, ...

`.ci/floors.py io test` prints the core's needs, then those of the two extras.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

for needs in (PROJECT["dependencies"], *map(PROJECT["optional-dependencies"].get, sys.argv[1:])):
    for need in needs:
        if ">=" in need:
            print(re.sub(r"\[.*?\]", "", need).replace(">=", "==", 1))
