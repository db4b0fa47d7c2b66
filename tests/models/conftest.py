"""Every test here needs the zoo."""

import importlib

importlib.import_module("edgekit.models")
