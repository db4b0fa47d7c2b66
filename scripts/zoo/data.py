"""Write the zoo as data, edgekit/network/zoo.json.gz, from models/: run this when a network changed or is new.

The file is what `edgekit models` and `edgekit summary` read, so that they need no torch. The same networks give the
same bytes with the same zlib.
"""

from __future__ import annotations

import gzip
import json
import sys

import edgekit.models  # noqa: F401  # registers the zoo
from edgekit.network.catalog import counted
from edgekit.network.shipped import FILE, written
from edgekit.network.spec import MODELS, published_variants
from edgekit.util.files import write_atomically


def main() -> int:
    """Count every published variant, and write the file."""
    specs = [spec for _, spec in MODELS.items()]
    points = {str(point): point for spec in specs for point in published_variants(spec)}
    document = written(specs, {name: counted(point) for name, point in points.items()})
    text = json.dumps(document, separators=(",", ":"))
    write_atomically(FILE, gzip.compress(text.encode(), mtime=0))
    print(f"{FILE}: {len(specs)} networks, {len(points)} variants, {FILE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
