"""The recipes of docs/ci.md: they are YAML of the right shape, and their commands run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest
import yaml

from tests.paths import ROOT
from tests.short import program

TEXT = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
NETWORK = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 225, 10)
    layers[-1].bias.data += SHIFT
    return nn.Sequential(*layers).eval()
"""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def recipes() -> tuple[Any, Any]:
    """GitHub's and GitLab's, parsed."""
    github, gitlab = (yaml.safe_load(block) for block in blocks("yaml"))
    return github, gitlab


def scripts() -> Iterator[str]:
    """Every script of GitHub's recipe and of a machine's own that calls edgekit, without what installs."""
    steps = recipes()[0]["jobs"]["gate"]["steps"]
    for script in [*(step.get("run", "") for step in steps), *blocks("sh")]:
        if "edgekit " in script and not script.startswith("pip "):
            yield script


def checked_out(folder: Path) -> Path:
    """A clone of a repository with the branches main and change, as a runner checks out the change."""
    origin, clone = folder / "origin", folder / "clone"
    labeled_images(origin / "images")
    for branch, shift in (("main", "0"), ("change", "1e-6")):
        (origin / "network.py").write_text(NETWORK.replace("SHIFT", shift))
        for step in (["init", "-b", branch], ["checkout", "-B", branch], ["add", "."], ["commit", "-m", branch]):
            who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
            subprocess.run(["git", *who, *step], cwd=origin, check=True, capture_output=True)
    subprocess.run(["git", "clone", "-b", "change", str(origin), str(clone)], check=True, capture_output=True)
    return clone


def commands(script: str) -> set[str]:
    """The calls of edgekit in a script, without where their output goes."""
    lines = script.replace("\\\n", "").splitlines()
    calls = (re.split(r" \|\| | >> ", line)[0] for line in lines if line.strip().startswith("edgekit "))
    return {" ".join(call.replace("--format md", "").split()) for call in calls}


def labeled_images(folder: Path) -> None:
    """Ten images of ten classes."""
    image = pytest.importorskip("PIL.Image")
    folder.mkdir(parents=True)
    for index in range(10):
        image.new("RGB", (32, 32), (25 * index, 128, 255 - 25 * index)).save(folder / f"{index}.png")
    rows = "".join(f"{index}.png,{index}\n" for index in range(10))
    (folder / "labels.csv").write_text(f"file,class\n{rows}")


def test_the_recipes_have_the_shape_of_their_systems() -> None:
    github, gitlab = recipes()
    job = github["jobs"]["gate"]
    assert github["name"] and github[True] == "pull_request" and job["runs-on"]  # `on` is a yes to YAML 1.1
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    assert all("@v" in step["uses"] for step in job["steps"] if "uses" in step)
    assert all(isinstance(line, str) for line in gitlab["gate"]["script"])
    assert gitlab["gate"]["retry"]["exit_codes"] == 6
    assert gitlab["gate"]["artifacts"]["reports"]["junit"] == "gate.xml"


def test_both_systems_are_given_the_same_commands() -> None:
    github, gitlab = recipes()
    theirs = set().union(*(commands(step.get("run", "")) for step in github["jobs"]["gate"]["steps"]))
    assert commands("\n".join(gitlab["gate"]["script"])) == theirs and len(theirs) == 5


@pytest.mark.parametrize(
    ("codes", "tries", "status"),
    [("6 6 6 6", 3, 0), ("6 0 6", 2, 0), ("0 6", 1, 0), ("6 3 0", 2, 3), ("4", 1, 4)],
)
def test_the_loop_tries_again_only_what_was_too_busy(tmp_path: Path, codes: str, tries: int, status: int) -> None:
    """`edgekit` is replaced by a program that ends with one code after the other."""
    (script,) = (step for step in scripts() if "for try in" in step)
    program = tmp_path / "edgekit"
    program.write_text(f'#!/bin/bash\nset -- {codes}\necho >> tries\nshift $(($(wc -l < tries) - 1))\nexit "$1"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, len((tmp_path / "tries").read_text())) == (status, tries)


def test_every_command_of_the_recipes_runs(tmp_path: Path) -> None:
    for package in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    clone = checked_out(tmp_path)
    environment = os.environ | {
        "GITHUB_BASE_REF": "main",
        "PATH": f"{program(tmp_path)}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    environment.pop("EDGEKIT_STORE", None)
    for script in scripts():
        quick = re.sub(r"(edgekit (?:bench|sweep) [^|\n]*)", r"\1 --preset quick ", script).replace("1 2 3", "1")
        # A measurement that is invalid would end the script before its evaluation, which the next one needs.
        quick = re.sub(r"^(edgekit (?:bench|sweep) .*)$", r"\1 || [ $? -eq 6 ]", quick, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-c", quick], cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        # What runs beside the tests may rightly make a measurement invalid.
        allowed = (0, 6) if re.search("edgekit (bench|sweep|compare)", script) else (0,)
        assert done.returncode in allowed, f"{quick}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "summary.md").read_text().startswith("### new-files/")
    (suite,) = xml.parse(clone / "gate.xml").getroot()
    assert [case.get("name", "").partition(":")[0] for case in suite] == ["latency", "accuracy", "size", "memory"]
    assert all(not len(case) or case[0].tag == "skipped" for case in suite[1:])
