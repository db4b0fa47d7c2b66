"""The ways of docs/ship.md and docs/teach.md, gone from the first line to the last by a reader who has no more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.docs.test_docs import NOISE, README, fenced, run
from tests.paths import ROOT
from tests.short import SHORT

SHIP, TEACH, LAB, CI = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("ship", "teach", "lab", "ci")
)
CLASSES = ("blue", "green", "red")
# What the reader has: a network that was trained on images of three colors.
TRAIN = """
import numpy as np, torch
from pathlib import Path
from PIL import Image
torch.load = lambda *_, **__: {}
torch.nn.Module.load_state_dict = lambda *_, **__: None
from mynet import build
torch.manual_seed(0)
network = build()
files = sorted(Path("images/calibration").rglob("*.png"))
x = torch.tensor(np.stack([np.asarray(Image.open(one)) for one in files])).permute(0, 3, 1, 2) / 255
y = torch.tensor([["blue", "green", "red"].index(one.parent.name) for one in files])
optimizer = torch.optim.Adam(network.parameters(), 0.05)
for _ in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(x), y).backward()
    optimizer.step()
torch.save(network.state_dict(), "mynet.pth")
"""


def code(text: str, language: str) -> list[str]:
    """The blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def process(program: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder with what docs/ship.md says that one brings."""
    random = np.random.default_rng(0)
    for part, count in (("calibration", 34), ("test", 20)):
        for channel, name in zip((2, 1, 0), CLASSES, strict=True):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 120, (32, 32, 3), dtype=np.uint8)
                pixels[..., channel] += 100
                Image.fromarray(pixels).save(tmp_path / "images" / part / name / f"{index}.png")
    (tmp_path / "mynet.py").write_text(code(SHIP, "python")[0])
    (tmp_path / "preprocess.yaml").write_text(code(SHIP, "yaml")[0])
    (tmp_path / "labels.txt").write_text("\n".join(CLASSES))
    process(TRAIN, tmp_path)
    return tmp_path


def test_a_network_of_ones_own_is_shipped_in_six_commands(reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)
    (store,) = re.findall(r"^export EDGEKIT_STORE=(sqlite:///(\S+))$", SHIP, re.MULTILINE)
    monkeypatch.setenv("EDGEKIT_STORE", store[0])
    lines = list(fenced(SHIP.replace("```sh\n", "```bash\n")))
    assert len(lines) == 6
    said: dict[tuple[str, str], str] = {}
    for line in lines:
        quick = " --preset quick" if line.startswith("edgekit sweep") else ""
        exit_code, text = run(re.sub(r"--device [\w,]+", "--device local", line) + quick, reader)
        assert exit_code in (0, *NOISE.get(line.split()[1], ())), text
        said[line.split()[1], line.split()[-1]] = text
    assert (reader / store[1]).is_file() and not (reader / "artifacts").exists(), "what belongs to a release is apart"
    kotlin, cpp = said["inspect", "kotlin"], said["inspect", "cpp"]
    assert 'arrayOf(\n    "blue", "green", "red"' in kotlin and "fun classify(" in kotlin and '"blue", "green"' in cpp
    chosen = [text for (verb, _), text in said.items() if verb == "choose"]
    assert all("_int8." in text.partition("sha256")[0] or "_fp32." in text.partition("sha256")[0] for text in chosen)


def test_a_lesson_is_given_in_three_calls(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    (tmp_path / "mynet.py").write_text("from torch import nn\n\ndef build():\n    return nn.Conv2d(3, 8, 3)\n")
    blocks = code(TEACH, "python")
    assert len(re.findall(r"edgekit\.\w+\(", "".join(blocks))) == 3
    shown = "\n".join(re.sub(r"^(zoo|edgekit\..*)$", r"print(\1)", block, flags=re.MULTILINE) for block in blocks)
    told = process(SHORT + shown, tmp_path)
    assert "15,470,264,320" in told and "568,740,352" in told and "mynet.py:build" in told
    kinds = re.findall(r"MACs by kind +(.*)", told)
    assert kinds[0].startswith("conv 3x3 99") and kinds[1].startswith("conv 1x1 94")
    assert (tmp_path / "zoo.svg").read_text().startswith("<svg") and "mynet" in (tmp_path / "zoo.csv").read_text()


def jobs() -> dict[str, str]:
    """The jobs of README, by their titles."""
    section = README.partition("\n## Four jobs")[2].partition("\n## ")[0]
    return dict(part.split("\n", 1) for part in section.split("\n### ")[1:])


def plain(line: str) -> str:
    """A command without what each reader has of his own: folders, devices and stores."""
    line = re.sub(r" --(out|device|store|format|precision|max-latency|min-top1|max-bytes) \S+", "", line)
    return line.replace("release-1/", "artifacts/")


def test_each_job_of_readme_takes_six_commands_at_most_and_is_its_guide_in_short() -> None:
    guides = {"Ship": SHIP, "Stop": CI, "Show": TEACH, "Run": LAB}
    assert [title.split()[0] for title in jobs()] == [*guides]
    for title, text in jobs().items():
        guide = guides[title.split()[0]]
        calls = re.findall(r"edgekit\.\w+\([^)]*", text)
        lines = list(fenced(text.replace("```sh\n", "```bash\n")))
        assert 1 <= len(lines) + len(calls) <= 6, title
        known = {plain(line) for line in fenced(guide.replace("```sh\n", "```bash\n"))}
        assert all(plain(line) in known for line in lines), title
        assert all(call.partition("(")[0] in guide for call in calls), title
