"""Fetching benchmark_model for phones from a server on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgekit.device import android_download
from edgekit.device.android_download import fetch
from edgekit.errors import EnvironmentRefused, UsageError
from tests.waiting import PATIENCE

pytest.importorskip("requests")
ARM = b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00" + os.urandom(100)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that is published as LiteRT's tool; the cache is the test's own."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    url = f"http://127.0.0.1:{server.server_port}/benchmark_model"
    monkeypatch.setattr(android_download, "ADDRESSES", {**android_download.ADDRESSES, "litert": url})
    (folder / "benchmark_model").write_bytes(ARM)
    yield folder / "benchmark_model"
    server.shutdown()
    server.server_close()


def kept(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache/phone"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_it_is_named_by_its_hash_and_another_lies_beside_it(published: Path, tmp_path: Path) -> None:
    first = fetch("litert")
    assert first.path.read_bytes() == ARM and os.access(first.path, os.X_OK) and first.built_for == "arm64-v8a"
    assert first.sha256 == hashlib.sha256(ARM).hexdigest() and first.path.name.endswith(first.sha256[:16])
    record = json.loads(first.path.with_suffix(".json").read_text())
    assert record["sha256"] == first.sha256 and record["url"] == first.url and record["fetched"]
    assert fetch("litert").path == first.path and len(kept(tmp_path)) == 2
    published.write_bytes(ARM + b"newer")
    second = fetch("litert")
    assert second.path != first.path and first.path.read_bytes() == ARM and len(kept(tmp_path)) == 4
    assert (first.others, second.others) == ((), (str(first.path),))  # it is said that what is published has changed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>moved</html>", "is no program"),
        (ARM[:18] + b"\x3e\x00" + bytes(50), "is built for x86_64, not for arm64"),
    ],
)
def test_what_is_no_program_for_phones_is_not_kept(published: Path, tmp_path: Path, content: bytes, said: str) -> None:
    published.write_bytes(content)
    with pytest.raises(EnvironmentRefused, match=said):
        fetch("litert")
    assert kept(tmp_path) == []


def test_unknown_names_and_addresses(published: Path) -> None:
    with pytest.raises(UsageError, match="no benchmark_model 'lite'; did you mean 'litert'"):
        fetch("lite")
    for url in android_download.ADDRESSES.values():
        assert url.startswith(("https://storage.googleapis.com/", "http://127.0.0.1"))


CALL = """
import sys
from edgekit.device import android_download
android_download.ADDRESSES["litert"] = sys.argv.pop(1)
from edgekit.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_person_is_asked_first(published: Path, tmp_path: Path, answer: str, code: int) -> None:
    terminal, inside = pty.openpty()
    url = android_download.ADDRESSES["litert"]
    command = [sys.executable, "-c", CALL, url, "devices", "tool", "litert"]
    with subprocess.Popen(command, stdin=inside, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.write(terminal, answer.encode())
        out, said = (part.decode() for part in process.communicate(timeout=PATIENCE))
    os.close(inside)
    os.close(terminal)
    assert process.returncode == code and url in said
    assert (len(kept(tmp_path)) == 2) is (code == 0)
    assert ("for devices.yaml: benchmark_model: " in out) is (code == 0)


def test_without_a_person_it_must_be_said(published: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CALL, android_download.ADDRESSES["litert"], "devices", "tool", "litert", "--json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "nobody is here to agree" in json.loads(done.stdout)["error"]["message"]
    assert kept(tmp_path) == []
    done = subprocess.run([*command, "--yes"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and len(json.loads(done.stdout)["tool"]["sha256"]) == 64
