"""Print the oldest versions that the floors of pyproject.toml allow, a pin a line."""

import pathlib
import re
import tomllib

project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"].values()
needs = {*project["dependencies"], *(need for extra in extras for need in extra)}
for need in sorted(need for need in needs if ">=" in need):
    print(re.sub(r"\[[^]]*\]", "", need).replace(">=", "=="))
