"""The zoo as data: the facts of its networks, and the layer tables of their published variants. Needs no torch.

`zoo.json.gz` is written by `python -m scripts.zoo.data` from models/, and a test holds it against them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from edgekit.errors import BackendMissing
from edgekit.ir.layer_table import LayerRow, LayerTable
from edgekit.network.spec import ModelSpec, Published, Variant
from edgekit.registry import Registry

FILE = Path(__file__).parent / "zoo.json.gz"
REMEDY = "pip install 'edgekit[export]'"
# Of a spec, what tells a variant apart and what is published about it. How it is built and fed is in models/.
FACTS = (
    *("name", "family", "paper", "input_shape", "classes", "alphas", "resolutions", "fixed_resolution"),
    *("classifier", "min_resolution", "options", "published"),
)
ROW = ("name", "op", "kind", "output_shape", "params", "macs", "activation_elements", "receptive_field")


def networks() -> Registry[ModelSpec]:
    """Return the zoo's specs, which build nothing."""
    return Registry("network", {facts["name"]: _spec(facts) for facts in _data()["networks"]})


def layer_table(point: Variant) -> LayerTable | None:
    """Return the layer table of a published variant; None for any other."""
    rows = _data()["tables"].get(str(point))
    if rows is None or point.classes != point.spec.classes:
        return None
    layers = tuple(LayerRow(**dict(zip(ROW, row, strict=True)) | {"output_shape": tuple(row[3])}) for row in rows)
    params, macs, elements = (sum(getattr(row, what) for row in layers) for what in ROW[4:7])
    return LayerTable(layers, params, macs, elements, ())


def written(specs: Iterable[ModelSpec], tables: Mapping[str, LayerTable]) -> dict[str, Any]:
    """Return what stands in the file, for these networks and these variants by name."""
    facts = [
        {name: getattr(spec, name) for name in FACTS} | {"published": [asdict(row) for row in spec.published]}
        for spec in specs
    ]
    rows = {name: [[getattr(row, what) for what in ROW] for row in table.rows] for name, table in tables.items()}
    return {"networks": facts, "tables": rows}


@cache
def _data() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gzip.decompress(FILE.read_bytes()))
    return document


def _spec(facts: Mapping[str, Any]) -> ModelSpec:
    tuples = {name: tuple(facts[name]) for name in ("input_shape", "alphas", "resolutions")}
    options = {name: tuple(values) for name, values in facts["options"].items()}
    published = tuple(Published(**row) for row in facts["published"])
    return ModelSpec(**{**facts, **tuples, "options": options, "published": published, "build": _build})


def _build(**chosen: Any) -> NoReturn:
    raise BackendMissing("building a network needs torch, which is not installed", REMEDY)
