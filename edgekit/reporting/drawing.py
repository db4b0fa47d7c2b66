"""Draws pictures with vl-convert: as SVG and PNG here, or in a page by the script that it bundles."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

from edgekit.errors import BackendMissing, EnvironmentRefused
from edgekit.reporting.charts import Spec, config

BUNDLE_SECONDS = 300.0  # it takes five on an idle machine
# Without the folder that it is started in, where anything may be called like a module.
BUNDLE = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import vl_convert
sys.stdout.buffer.write(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").encode())
"""


def converter() -> Any:
    """The vl_convert module. Raises BackendMissing where it is not installed."""
    try:
        return importlib.import_module("vl_convert")
    except ImportError as error:
        raise BackendMissing(
            f"the pictures of a report need vl-convert ({error})",
            "pip install 'edgekit[report]', or choose --format md,csv,json",
        ) from error


def render(spec: Spec, datasets: dict[str, list[dict[str, Any]]], width: int = 760) -> tuple[str, bytes]:
    """One picture with its data as (SVG text, PNG bytes at twice the size), on white."""
    whole = spec | {"width": width, "datasets": datasets, "config": config() | {"background": "white"}, "padding": 16}
    convert = converter()
    return convert.vegalite_to_svg(whole), convert.vegalite_to_png(whole, scale=2)


def script() -> str:
    """The JavaScript that draws the pictures in a page, `window.vegaEmbed`, without any address to load from.

    Bundled in a process of its own: it takes seconds in which no other thread of this one could run.
    Raises EnvironmentRefused where it does not end.
    """
    converter()
    try:
        done = subprocess.run(
            [sys.executable, "-c", BUNDLE], stdout=subprocess.PIPE, check=True, timeout=BUNDLE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentRefused(
            f"bundling the script of the report took more than {BUNDLE_SECONDS:.0f} s",
            "write it again when the machine is less busy, or choose --format md,csv,json",
        ) from error
    return done.stdout.decode()
