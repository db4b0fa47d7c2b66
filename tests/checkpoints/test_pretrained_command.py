"""The command `weights`: what it lists, pulls and refuses, and what it says of the files. No outside traffic."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import edgekit
from edgekit.checkpoints import pretrained
from edgekit.checkpoints.pretrained_table import SOURCES
from edgekit.cli.views.weights import pulled
from tests import command_line
from tests.checkpoints.test_pretrained import cache as cache


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `edgekit weights`."""
    return command_line.edgekit("weights", *arguments)


def test_the_command_lists_and_pulls(cache: Path) -> None:
    (cache / "mobilenet_2_5_128_tf.h5").write_bytes(b"put there by hand")
    done = run("pull", "mobilenet_0.25_128_keras", "--json")
    (row,) = json.loads(done.stdout)["pulled"]
    assert done.returncode == 0 and not row["checked"] and not row["downloaded"]
    assert row["sha256"] == hashlib.sha256(b"put there by hand").hexdigest()
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)["weights"]}
    assert len(rows) == len(SOURCES)
    assert rows["mobilenet_0.25_128_keras"]["sha256_found"] == row["sha256"]
    assert rows["resnet18"]["path"] is None
    assert "mobilenet_0.25_128_keras" in run().stdout
    assert "none is published" in run("pull", "mobilenet_0.25_128_keras").stdout


@pytest.mark.parametrize("arguments", ["pull", "list resnet18", "psuh x", "pull resnet17"])
def test_the_command_refuses_what_it_does_not_know(arguments: str) -> None:
    done = run(*arguments.split())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 2)


def test_the_command_needs_no_torch() -> None:
    heavy = ("torch", "requests", "h5py")
    code = f"import sys, edgekit.checkpoints.pretrained\nprint([n for n in {heavy} if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_function_has_the_name_of_the_command() -> None:
    assert isinstance(edgekit.weights("list"), pretrained.Listing)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18", "checked by 32 bits of its hash"),
        ("mobilenet_1.0_224", "as published"),
        ("mobilenet_1.0_224_keras", "as first seen: none is published"),
    ],
)
def test_how_much_of_a_hash_was_checked_is_said(name: str, said: str, tmp_path: Path) -> None:
    source = pretrained.named(name)
    (tmp_path / "file").write_bytes(b"x")
    found = pretrained.Found(source, tmp_path / "file", "f" * 64, source.sha256 is not None, downloaded=False)
    document = pretrained.Pulled((found,), ()).to_json()
    console = Console(width=200, file=io.StringIO())
    for part in pulled(document, 200):
        console.print(part)
    assert isinstance(console.file, io.StringIO) and f"({said})" in console.file.getvalue()
