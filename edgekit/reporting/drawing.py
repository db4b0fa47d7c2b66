"""Draws pictures with vl-convert: as SVG and PNG here, or in a page by the script that it bundles."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekit.errors import BackendMissing, EdgekitError, EnvironmentRefused
from edgekit.reporting.charts import Spec, config
from edgekit.reporting.overlaps import with_names_apart
from edgekit.util.files import cache_folder, make_folder, write_atomically

BUNDLE_SECONDS = 300.0  # it takes five on an idle machine
WANTED = "window.vegaEmbed = vegaEmbed;"
# Without the folder that it is started in, where anything may be called like a module.
BUNDLE = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import vl_convert
sys.stdout.buffer.write(vl_convert.javascript_bundle(sys.argv[1]).encode())
"""


def converter() -> Any:
    """Return the vl_convert module. Raises BackendMissing where it is not installed."""
    try:
        return importlib.import_module("vl_convert")
    except ImportError as error:
        raise BackendMissing(
            f"the pictures of a report need vl-convert ({error})",
            "pip install 'edgekit[report]', or choose --format md,csv,json",
        ) from error


def render(spec: Spec, datasets: dict[str, list[dict[str, Any]]], width: int = 760) -> tuple[str, bytes]:
    """One picture with its data as (SVG text, PNG bytes at twice the size), on white; no name in it touches another."""
    whole = spec | {"width": width, "datasets": datasets, "config": config() | {"background": "white"}, "padding": 16}
    convert = converter()
    svg = with_names_apart(convert.vegalite_to_svg(whole))
    return svg, convert.svg_to_png(svg, scale=2)


def script() -> str:
    """Return the JavaScript that draws the pictures in a page, `window.vegaEmbed`, without any address to load from.

    It depends on the release of vl-convert alone, and is kept in the cache. Raises EnvironmentRefused where bundling it
    does not end.
    """
    kept = cache_folder() / f"vega-{converter().__version__}.js"
    if (known := _kept(kept)) is not None:
        return known
    bundled = _bundled()
    with suppress(EdgekitError, OSError):  # a page needs no cache
        make_folder(kept.parent)
        write_atomically(kept, _digest(bundled) + b"\n" + bundled)
    return bundled.decode()


def _kept(path: Path) -> str | None:
    """The script in the cache; None where there is none, or another than the one that was written."""
    try:
        digest, _, bundled = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return bundled.decode() if digest == _digest(bundled) else None


def _digest(bundled: bytes) -> bytes:
    return hashlib.sha256(WANTED.encode() + bundled).hexdigest().encode()


def _bundled() -> bytes:
    """Bundle the script in a process of its own: it takes seconds in which no other thread of this one could run."""
    command = [sys.executable, "-c", BUNDLE, WANTED]
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=BUNDLE_SECONDS).stdout
    except subprocess.TimeoutExpired as error:
        raise EnvironmentRefused(
            f"bundling the script of the report took more than {BUNDLE_SECONDS:.0f} s",
            "write it again when the machine is less busy, or choose --format md,csv,json",
        ) from error
