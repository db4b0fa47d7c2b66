"""What every attack of `make attack` is made of: a case, and the good files that the cases damage."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = "a-command-ran"  # a file that only code of an attack makes
SECRET = "s3cret-of-the-machine"  # in a file that no command is given
POISON = "\x1b]0;owned\x07\x1b[2J\x85\x9b31m\u202e\u2066\u2028"
NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, float("inf"), float("nan"), 2**63, -(2**70), 10**400, "", [], {}, [[]], "9" * 5000),
    *(POISON, f"=cmd|'/c touch {MARK}'!A1", f"'); __import__('os').system('touch {MARK}') #", f"$(touch {MARK})"),
    *(f'"""\n__import__("os").system("touch {MARK}")\n"""', "*/", "../../x", "/etc/passwd", "a" * 5000, "\ud800", "\0"),
    *("<script>alert(1)</script>", "%s%n", "${7*7}", "]]>", "a\nb", "a\rb", "nan", "1e999", [0] * 10_000),
)


@dataclass(frozen=True)
class Case:
    """One command, for a folder that was prepared for it."""

    argv: list[str]


Attack = Callable[[Path, random.Random, Path], Case]

PREPARE = """
import lzma
import sys
from pathlib import Path
import numpy as np
import torch
from PIL import Image
import edgekit
from safetensors.torch import save_file
from edgekit.network.spec import variant
from tests.checkpoints.test_hosted import keras_file

seeds = Path(sys.argv[1])
state = variant("lenet5").build().state_dict()
torch.save(state, seeds / "weights.pth")
edgekit.export("lenet5", format=["onnx", "tflite"], precision=["fp32", "int8"], synthetic_calibration=True,
               weights=str(seeds / "weights.pth"), out=seeds / "artifacts")
files = sorted((seeds / "artifacts").rglob("*_fp32.onnx")) + sorted((seeds / "artifacts").rglob("*_fp32.tflite"))
save_file(state, seeds / "weights.safetensors")
np.savez(seeds / "weights.npz", **{name: value.numpy() for name, value in state.items()})
keras_file(seeds / "weights.h5")
(seeds / "weights.keras").write_bytes(lzma.decompress(Path("tests/samples/keras/transferred.keras.xz").read_bytes()))
network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
torch.export.save(torch.export.export(network.eval(), (torch.zeros(1, 1, 8, 8),)), seeds / "net.pt2")
(seeds / "images").mkdir()
chance = np.random.default_rng(0)
for index in range(6):
    Image.fromarray(chance.integers(0, 256, (32, 32), np.uint8)).save(seeds / "images" / f"{index}.png")
(seeds / "images" / "labels.csv").write_text("file,class\\n" + "".join(f"{i}.png,{i}\\n" for i in range(6)))
for _ in range(2):
    edgekit.bench(files, preset="quick", store=f"sqlite:///{seeds}/edgekit.db")
edgekit.eval(files[:1], data=seeds / "images", store=f"sqlite:///{seeds}/edgekit.db")
"""
TEXTS = {
    "devices.yaml": "devices:\n  board: {link: ssh, host: nowhere.invalid, power_modes: [15W], sensors: jetson}\n",
    "grid.yaml": "model: lenet5\nformat: [onnx, tflite]\nprecision: [fp32, int8]\nthreads: 1\npreset: quick\n",
    "preprocess.yaml": "size: 32\ncrop: 0.875\nchannels: L\nmean: 127.5\nscale: 0.00784\nlayout: NCHW\n",
    "labels.txt": "".join(f"class {index}\n" for index in range(10)),
}


def prepare(seeds: Path) -> None:
    """Make the good files, in a process of its own: this one is forked later, and threads do not survive that."""
    for name, text in TEXTS.items():
        (seeds / name).write_text(text)
    (seeds / "secret").write_text(SECRET)
    code = [sys.executable, "-W", "ignore", "-c", PREPARE, str(seeds)]
    subprocess.run(code, check=True, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.DEVNULL)


def artifacts(seeds: Path, suffix: str = "") -> list[Path]:
    """The good artifacts, in order."""
    found = (seeds / "artifacts").rglob(f"*{suffix}" if suffix else "*")
    return sorted(path for path in found if path.suffix in (".onnx", ".tflite"))


def damaged_bytes(chance: random.Random, data: bytes) -> bytes:
    """The bytes cut, with others changed, doubled, or put into each other's place."""
    if not data or chance.random() < 0.02:
        return b""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20, 200))):
        at = chance.randrange(len(found)) if chance.random() < 0.5 else chance.randrange(min(4096, len(found)))
        found[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    way, at, end = chance.random(), *sorted(chance.randrange(len(found) + 1) for _ in range(2))
    if way < 0.2:
        del found[at:]
    elif way < 0.3:
        del found[at:end]
    elif way < 0.35:
        found[at:at] = found[at:end][: 1 << 20]
    return bytes(found)


def damaged_json(chance: random.Random, document: Any) -> Any:
    """A document with one to three of its values replaced by what nobody means, left out, or doubled."""
    text = json.dumps(document)
    for _ in range(chance.randint(1, 3)):
        document = json.loads(text)
        places = list(_places(document))
        owner, key = chance.choice(places)
        way = chance.random()
        if way < 0.1:
            del owner[key]
        elif way < 0.2 and isinstance(owner, list):
            owner.extend([owner[key]] * chance.choice((1, 1000)))
        else:
            owner[key] = chance.choice(NASTY)
        text = json.dumps(document)
    return json.loads(text)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each owner and key of a value inside a document."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


def poisoned(value: Any) -> Any:
    """A document with the poison at the end of each of its texts."""
    if isinstance(value, dict):
        return {key: poisoned(one) for key, one in value.items()}
    if isinstance(value, list):
        return [poisoned(one) for one in value]
    return value + POISON if isinstance(value, str) else value


def text_of(path: Path) -> str:
    """A text file."""
    return path.read_text(encoding="utf-8")


def write(path: Path, data: bytes | str) -> Path:
    """Write a file, whatever is in it, in a folder that may be missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    return path
