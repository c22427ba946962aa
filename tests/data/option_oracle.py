"""Say which (group, option, text) on standard input the libraries refuse; run by Heat's Python."""

import contextlib
import json
import sys
from importlib import metadata
from pathlib import Path
from tempfile import NamedTemporaryFile

from oslo_config import cfg

conf = cfg.ConfigOpts()
for point in metadata.entry_points(group="oslo.config.opts"):
    # ConfigOpts registers oslo.config's own options.
    if point.name.startswith(("heat.", "oslo.", "keystonemiddleware.", "osprofiler")) and (
        point.name != "oslo.config"
    ):
        for group, options in point.load()():
            for option in options:
                option.required = False
                with contextlib.suppress(cfg.DuplicateOptError):
                    conf.register_opt(option, group=getattr(group, "name", group))

refused = []
unlisted = set()
for group, key, text in json.load(sys.stdin):
    with NamedTemporaryFile("w", suffix=".conf", delete=False) as file:
        file.write(f"[{group}]\n{key} = {text}\n")
    conf(args=[], default_config_files=[file.name])
    try:
        value = conf[key] if group == "DEFAULT" else conf[group][key]
    except cfg.ConfigFileValueError:
        refused.append([group, key, text])
    except cfg.NoSuchOptError:
        unlisted.add((group, key))
    Path(file.name).unlink()
json.dump({"refused": refused, "unlisted": sorted(unlisted)}, sys.stdout)
