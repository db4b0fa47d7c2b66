"""Names that mean harm, wherever a name can come from others: files, folders, tensors, labels, devices, records."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from scripts.attack.case import MARK, POISON, Attack, Case, artifacts, poisoned, text_of, write
from scripts.attack.files import SHOWN, STORES

NAMES = (
    f"a{POISON}b",
    "-rf",
    "--json",
    "=1+1",
    "a\nb",
    "a;touch " + MARK,
    f"$(touch {MARK})",
    f"`touch {MARK}`",
    "a b 'c' \"d\"",
    "<img src=x onerror=alert(1)>",
    "%s%n%x",
    "{0}{x!r}",
    "\u202egnp.exe",
    "a" * 200,
    "con",
    "é" * 60,
    "postgresql:x",
    "postgresql:--a:b@c",
)


def file(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """An artifact under such a name."""
    source = chance.choice(artifacts(seeds))
    name = f"{chance.choice(NAMES)}{source.suffix}"
    path = write(folder / name, source.read_bytes())
    if chance.random() < 0.5:
        write(path.with_name(f"{path.name}.json"), text_of(source.with_name(f"{source.name}.json")))
    words = chance.choice((*SHOWN, ["bench", "--preset", "quick"]))
    return Case([words[0], *words[1:], "--", path.name])


def out(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """Such a name for what is written."""
    name = chance.choice(NAMES)
    write(folder / "edgekit.db", (seeds / "edgekit.db").read_bytes())
    argv = chance.choice(
        (
            ["export", "lenet5", "--format", "onnx", f"--out={name}"],
            ["report", "--format", "csv,md", f"--out={name}"],
            ["report", "--format", "csv", f"--assets={name}", "--out=r"],
            ["compare", "latest~1", "latest", f"--junit={name}"],
            ["sweep", "lenet5", "--format=onnx", "--export-only", "--dry-run", f"--out={name}"],
            ["compare", name, "latest"] if not name.startswith("-") else ["compare", "--", name, "latest"],
        )
    )
    return Case(argv)


def manifest(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A manifest whose every text is poisoned, but for what is looked up by it."""
    source = chance.choice(artifacts(seeds))
    write(folder / source.name, source.read_bytes())
    told = json.loads(text_of(source.with_name(f"{source.name}.json")))
    kept = {key: told[key] for key in ("sha256", "format", "output", "preprocessing", "version")}
    evil = poisoned(told) | kept
    for tensor, good in zip(evil["inputs"] + evil["outputs"], told["inputs"] + told["outputs"], strict=True):
        tensor |= {"dtype": good["dtype"], "layout": good["layout"]}
    evil["labels"] = [chance.choice(NAMES) for _ in range(10)]
    write(folder / f"{source.name}.json", json.dumps(evil))
    words = chance.choice((*SHOWN, ["bench", "--preset", "quick"]))
    return Case([words[0], source.name, *words[1:]])


def tensors(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A foreign ONNX file whose operators and tensors have such names."""
    import onnx

    model = onnx.load(str(chance.choice(artifacts(seeds, ".onnx"))))
    names = {name: f"{name}{chance.choice(NAMES)}" for node in model.graph.node for name in (*node.input, *node.output)}
    for node in model.graph.node:
        node.name = f"{node.name}{chance.choice(NAMES)}"
        node.input[:] = [names[name] if name else "" for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for one in (*model.graph.input, *model.graph.output, *model.graph.initializer, *model.graph.value_info):
        one.name = names.get(one.name, one.name)
    if chance.random() < 0.3:
        model.graph.node[0].op_type = f"Conv{POISON}"
    write(folder / "net.onnx", model.SerializeToString())
    words = chance.choice((["inspect"], ["bench", "--preset", "quick"], ["bench", "--profile", "--preset", "quick"]))
    return Case([words[0], "net.onnx", *words[1:]])


def records(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A stranger's store whose records have such names."""
    path = write(folder / "edgekit.db", (seeds / "edgekit.db").read_bytes())
    name = chance.choice(NAMES)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("measurements", "accuracies"):
            for position, payload in connection.execute(f"SELECT position, payload FROM {table}").fetchall():
                told = json.loads(payload)
                for key in ("artifact", "device", "reasons", "runtime_version"):
                    if key in told:
                        told[key] = [name] if key == "reasons" else name
                if isinstance(told.get("manifest"), dict):
                    told["manifest"]["variant"]["name"] = name
                    told["manifest"]["notes"] = [name]
                text = json.dumps(told)
                connection.execute(f"UPDATE {table} SET payload = ? WHERE position = ?", (text, position))
        connection.commit()
    return Case(list(chance.choice(STORES)))


def devices(folder: Path, chance: random.Random, seeds: Path) -> Case:
    """A devices.yaml of a stranger: nothing in it may run here."""
    name = chance.choice(NAMES)
    key = chance.choice(("host", "python", "folder", "name", "runtimes"))
    entry: dict[str, object] = {"link": "ssh", "host": "nowhere.invalid", "runtimes": ["onnxruntime"]}
    entry |= {} if key == "name" else {key: [name] if key == "runtimes" else name}
    write(folder / "devices.yaml", json.dumps({"devices": {name if key == "name" else "board": entry}}))
    return Case(chance.choice((["devices"], ["devices", "check", "board"], ["devices", "--json"])))


ATTACKS: Mapping[str, Attack] = {
    "name file": file,
    "name out": out,
    "name manifest": manifest,
    "name tensors": tensors,
    "name records": records,
    "name devices": devices,
}
