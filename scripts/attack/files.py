"""Damaged files of each kind that edgekit reads."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from scripts.attack.case import Attack, Case, artifacts, damaged_bytes, damaged_json, text_of, write
from scripts.fuzz import damaged

STORES = (
    ["report", "--format", "html,csv,md,json", "--store", "edgekit.db"],
    ["compare", "latest~1", "latest", "--store", "edgekit.db"],
    ["compare", "latest~1", "latest", "--store", "edgekit.db", "--format", "md", "--junit", "j.xml"],
    ["store", "merge", "edgekit.db", "--store", "mine.db"],
    ["sweep", "lenet5", "--format", "onnx", "--dry-run", "--store", "edgekit.db"],
)
SHOWN = (
    *(["inspect"], ["inspect", "--json"], ["inspect", "--layers"]),
    *(["inspect", "--snippet", language] for language in ("python", "cpp", "kotlin")),
)


def _model(folder: Path, chance: random.Random, seeds: Path) -> Path:
    source = chance.choice(artifacts(seeds))
    return write(folder / f"net{source.suffix}", damaged_bytes(chance, source.read_bytes()))


def inspect(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A damaged artifact without a manifest."""
    return Case(["inspect", _model(folder, chance, seeds).name])


def bench(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A damaged artifact that is measured."""
    return Case(["bench", _model(folder, chance, seeds).name, "--preset", "quick"])


def evaluate(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A damaged artifact, or damaged images or preprocessing, that is evaluated."""
    shutil.copytree(seeds / "images", folder / "images")
    what = chance.choice(("model", "image", "labels", "preprocess"))
    source = chance.choice(artifacts(seeds))
    path = _model(folder, chance, seeds) if what == "model" else write(folder / source.name, source.read_bytes())
    text = text_of(seeds / "preprocess.yaml")
    write(folder / "p.yaml", damaged(chance, [text]) if what == "preprocess" else text)
    if what == "image":
        image = folder / "images" / "3.png"
        image.write_bytes(damaged_bytes(chance, image.read_bytes()))
    if what == "labels":
        write(folder / "images" / "labels.csv", damaged(chance, [text_of(seeds / "images" / "labels.csv")]))
    return Case(["eval", path.name, "--data", "images", "--preprocess", "p.yaml"])


def manifest(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A good artifact whose manifest is damaged, or means harm."""
    source = chance.choice(artifacts(seeds))
    write(folder / source.name, source.read_bytes())
    told = text_of(source.with_name(f"{source.name}.json"))
    way = chance.random()
    text = json.dumps(damaged_json(chance, json.loads(told))) if way < 0.8 else damaged(chance, [told])
    write(folder / f"{source.name}.json", text)
    words = chance.choice(SHOWN)
    return Case([words[0], source.name, *words[1:]])


def weights(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A damaged checkpoint."""
    suffix = chance.choice(("pth", "safetensors", "npz", "h5", "keras"))
    path = write(folder / f"weights.{suffix}", damaged_bytes(chance, (seeds / f"weights.{suffix}").read_bytes()))
    kind = {"h5": ["mobilenet", "--res", "64"], "keras": ["mobilenet", "--alpha", "0.03125"]}.get(suffix, ["lenet5"])
    return Case(["export", *kind, "--format", "onnx", "--weights", path.name])


def network(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A damaged ONNX file of another program that is exported as a network."""
    source = chance.choice([*artifacts(seeds, ".onnx")])
    write(folder / "net.onnx", damaged_bytes(chance, source.read_bytes()))
    return Case(["export", "net.onnx", "--format", chance.choice(("onnx", "tflite"))])


def archive(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A damaged archive of torch.export."""
    write(folder / "net.pt2", damaged_bytes(chance, (seeds / "net.pt2").read_bytes()))
    return Case(["export", "net.pt2", "--format", "onnx"])


def store(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A store with damaged bytes, or with damaged records in it."""
    path = write(folder / "edgekit.db", (seeds / "edgekit.db").read_bytes())
    if chance.random() < 0.4:
        write(path, damaged_bytes(chance, path.read_bytes()))
    else:
        with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.Error):
            table = chance.choice(("measurements", "measurements", "accuracies"))
            for position, payload in connection.execute(f"SELECT position, payload FROM {table}").fetchall():
                text = json.dumps(damaged_json(chance, json.loads(payload)))
                connection.execute(f"UPDATE {table} SET payload = ? WHERE position = ?", (text, position))
            connection.commit()
    return Case(list(chance.choice(STORES)))


def text(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A damaged file of those that people write."""
    name, argv = chance.choice(
        (
            ("devices.yaml", ["devices", "--devices", "devices.yaml"]),
            ("grid.yaml", ["sweep", "grid.yaml", "--dry-run", "--yes"]),
            ("labels.txt", ["export", "lenet5", "--format", "onnx", "--labels", "labels.txt"]),
            ("preprocess.yaml", ["export", "lenet5", "--format", "onnx", "--preprocess", "preprocess.yaml"]),
        )
    )
    write(folder / name, damaged(chance, [text_of(seeds / name)]))
    return Case(list(argv))


ATTACKS: Mapping[str, Attack] = {
    "file inspect": inspect,
    "file manifest": manifest,
    "file weights": weights,
    "file archive": archive,
    "file network": network,
    "file store": store,
    "file text": text,
    "file eval": evaluate,
    "file bench": bench,
}
