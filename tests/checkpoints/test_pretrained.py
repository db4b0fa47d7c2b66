"""Pretrained weights: the table is true to itself, and a file is taken only for what it is. No outside traffic."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

import edgekit
from edgekit.checkpoints import load as weights
from edgekit.checkpoints import pretrained
from edgekit.checkpoints.file import FORMATS
from edgekit.checkpoints.pretrained_table import ALPHAS, RESOLUTIONS, SOURCES, Source
from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.network.spec import MODELS, variant
from edgekit.records.preprocessing import Preprocessing
from tests.paths import DATA

importlib.import_module("edgekit.models")
DIGITS = Preprocessing(channels="L", mean=(33.0,), std=(78.0,))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of pretrained files, empty, for this test alone."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    assert pretrained.folder() == folder
    return folder


class Site:
    """A folder that a server on loopback serves, and the paths that were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.address = folder, list[str](), ""

    def source(self, name: str, content: bytes, **facts: Any) -> Source:
        """Serve a file, and give its entry for the table."""
        (self.folder / name).write_bytes(content)
        given: dict[str, Any] = {
            "sha256": hashlib.sha256(content).hexdigest()[:8],
            "preprocessing": DIGITS,
            "classes": 10,
        } | facts
        return Source("one", "lenet5", f"{self.address}/{name}", license="none", **given)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server with an empty folder."""
    (tmp_path / "site").mkdir()
    served = Site(tmp_path / "site")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            served.asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(served.folder)))
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def archive(members: dict[str, bytes]) -> bytes:
    """A .tgz of the given files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def lenet(seed: int = 0) -> bytes:
    """LeNet-5's weights as a torch file."""
    torch.manual_seed(seed)
    buffer = io.BytesIO()
    torch.save(variant("lenet5").build().state_dict(), buffer)
    return buffer.getvalue()


# The table


def test_names_and_files_are_unique() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    assert len({source.file for source in SOURCES}) == len(SOURCES)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_an_entry_is_of_a_registered_network_and_complete(source: Source) -> None:
    spec = MODELS[source.model]
    point = variant(spec, source.alpha, source.resolution, source.classes, source.options)
    assert source.alpha in (spec.alphas or (1.0,)) and point.classes - spec.classes in (0, 1)
    assert source.resolution is None or source.resolution in spec.resolutions
    assert source.preprocessing.class_offset == source.classes - spec.classes
    assert len(source.preprocessing.mean) == spec.input_shape[0]
    assert source.url.startswith("https://") and source.license
    assert Path(source.file).suffix in FORMATS and Path(source.arrival).suffix in (*FORMATS, ".tgz")
    assert (source.member is None) == (source.arrival == source.file)
    if source.sha256 is None:
        assert "no hash is published" in source.note
    else:
        assert len(source.sha256) >= 8 and set(source.sha256) <= set("0123456789abcdef")
        assert len(source.sha256) == 64 or source.arrival.endswith(f"-{source.sha256}.pth")


@pytest.mark.parametrize("source", [one for one in SOURCES if "pytorch.org" in one.url], ids=lambda one: one.name)
def test_what_torchvision_publishes_has_its_accuracy_in_the_zoo(source: Source) -> None:
    rows = variant(source.model, source.alpha, source.resolution, options=source.options).published()
    assert any(row.source.startswith("torchvision") and row.top1 for row in rows)


def test_the_grids_of_mobilenet_are_complete() -> None:
    grid = sorted((alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS)
    for kind in ("", "_uint8", "_keras"):
        names = [f"mobilenet_{alpha}_{resolution}{kind}" for alpha, resolution in grid]
        assert [(s.alpha, s.resolution) for s in map(pretrained.named, names)] == grid


# Which file is meant


def choose(text: str, model: str, alpha: float | None = None, res: int | None = None, **options: str) -> str:
    """The name of the source that is chosen."""
    own = MODELS[model].resolution
    return pretrained.choose(text, model, alpha, res or own, options, res is not None).name


def test_pretrained_means_the_file_of_the_variant() -> None:
    assert choose("pretrained", "resnet50") == "resnet50"
    assert choose("pretrained", "resnet18", res=160) == "resnet18"
    assert choose("pretrained", "mnasnet", 0.5) == "mnasnet_0.5"
    assert choose("pretrained", "mobilenet") == "mobilenet_1.0_224"
    assert choose("pretrained", "mobilenet", 0.5, 160) == "mobilenet_0.5_160"
    assert choose("pretrained:mobilenet_0.5_160_keras", "mobilenet") == "mobilenet_0.5_160_keras"


@pytest.mark.parametrize(
    ("text", "model", "typed", "told"),
    [
        ("pretrained", "lenet5", {}, "no pretrained weights of lenet5"),
        ("pretrained", "mobilenet", {"alpha": 0.6}, "alpha 0.6"),
        ("pretrained", "mobilenet", {"res": 96}, "resolution 96"),
        ("pretrained", "mobilenet_v2", {"alpha": 0.5}, "alpha 0.5"),
        ("pretrained", "resnet50", {"stride": "1x1"}, "stride 1x1"),
        ("pretrained:resnet18", "resnet34", {}, "of resnet18, not of resnet34"),
        ("pretrained:resnet81", "resnet18", {}, "did you mean 'resnet18'"),
        ("pretrained:mobilenet_0.5_160", "mobilenet", {"alpha": 0.25}, "alpha 0.25"),
        ("pretrained:mobilenet_0.5_160", "mobilenet", {"res": 128}, "resolution 128"),
    ],
)
def test_what_nobody_published_is_refused_before_any_download(
    text: str, model: str, typed: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        choose(text, model, **typed)
    assert told in caught.value.message


# Getting it


def test_a_file_is_brought_once_and_recorded(site: Site, cache: Path) -> None:
    source = site.source("one.pth", b"weights")
    first, second = pretrained.fetch(source), pretrained.fetch(source)
    assert first.path.read_bytes() == b"weights" and first.checked
    assert (first.downloaded, second.downloaded) == (True, False) and len(site.asked) == 1
    done = subprocess.run(["sha256sum", "-c", "one.pth.sha256"], cwd=cache, capture_output=True, text=True, check=True)
    assert done.stdout == "one.pth: OK\n"


def test_two_at_once_download_once(site: Site) -> None:
    source = site.source("one.pth", os.urandom(5_000_000))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: pretrained.fetch(source), range(4)))
    assert len(site.asked) == 1 and len({f.sha256 for f in found}) == 1
    assert sorted(f.downloaded for f in found) == [False, False, False, True]


def test_a_hash_that_nobody_published_is_recorded_and_kept_to(site: Site, cache: Path) -> None:
    source = site.source("one.h5", b"weights", sha256=None)
    found = pretrained.fetch(source)
    assert not found.checked and found.sha256 == hashlib.sha256(b"weights").hexdigest()
    (cache / "one.h5").write_bytes(b"others")
    with pytest.raises(UsageError, match=r"has changed .* \(sha256 differs\)"):
        pretrained.fetch(source)
    assert (cache / "one.h5").read_bytes() == b"others"


def test_only_the_member_of_an_archive_touches_the_disk(site: Site, cache: Path, tmp_path: Path) -> None:
    members = {"../../evil.txt": b"no", "./other.tflite": b"no", "./one.tflite": b"network", "last.pb": b"no"}
    found = pretrained.fetch(site.source("one.tgz", archive(members), member="one.tflite"))
    assert found.path == cache / "one.tflite" and found.path.read_bytes() == b"network"
    assert sorted(path.name for path in cache.iterdir()) == [".one.tflite.lock", "one.tflite", "one.tflite.sha256"]
    assert not list(tmp_path.rglob("evil*"))


def test_a_link_in_an_archive_is_not_followed(site: Site) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        info = tarfile.TarInfo("one.tflite")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(UsageError, match=r"has no one\.tflite in it"):
        pretrained.fetch(site.source("one.tgz", buffer.getvalue(), member="one.tflite"))


def test_another_number_of_classes_is_refused_before_any_download(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "SOURCES", (site.source("one.pth", lenet()),))
    with pytest.raises(UsageError, match=r"--classes 7 contradicts the weights one\.pth, which are of 10"):
        weights.variant_of("pretrained", "lenet5", classes=7)
    assert not site.asked


@pytest.mark.parametrize("content", [b"no archive", archive({"./one.tflite": os.urandom(9000)})[:4000]])
def test_a_broken_archive_is_said(site: Site, cache: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="no readable archive"):
        pretrained.fetch(site.source("one.tgz", content, member="one.tflite"))
    assert not (cache / "one.tflite").exists()


def test_a_file_put_there_by_hand_is_checked_and_taken(site: Site, cache: Path) -> None:
    source = site.source("one.tgz", archive({"one.tflite": b"network"}), member="one.tflite")
    (site.folder / "one.tgz").rename(cache / "one.tgz")
    found = pretrained.fetch(source)
    assert found.checked and not found.downloaded and not site.asked
    assert (cache / "one.tgz").exists()


def test_a_wrong_file_put_there_by_hand_is_refused_and_left_alone(site: Site, cache: Path) -> None:
    source = site.source("one.pth", b"weights")
    (cache / "one.pth").write_bytes(b"others")
    with pytest.raises(UsageError, match=r"is not the published file"):
        pretrained.fetch(source)
    assert (cache / "one.pth").read_bytes() == b"others" and not site.asked


def test_an_empty_file_is_never_taken(site: Site, cache: Path) -> None:
    source = site.source("one.h5", b"", sha256=None)
    with pytest.raises(EnvironmentRefused, match=r"sent an empty one\.h5"):
        pretrained.fetch(source)
    (cache / "one.h5").touch()
    with pytest.raises(UsageError, match=r"one\.h5 is empty") as caught:
        pretrained.fetch(source)
    assert "put it at" in caught.value.remedy
    (cache / "one.h5.sha256").write_text(f"{hashlib.sha256(b'').hexdigest()}  one.h5\n")
    with pytest.raises(UsageError, match=r"one\.h5 is empty") as caught:
        pretrained.fetch(source)
    assert f"remove {cache / 'one.h5'} and one.h5.sha256" in caught.value.remedy


def test_a_kept_file_that_cannot_be_read_names_what_to_remove(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "SOURCES", (site.source("one.pth", b"not weights", sha256=None),))
    with pytest.raises(UsageError, match=r"one\.pth holds more than tensors") as caught:
        weights.variant_of("pretrained", "lenet5")
    assert f"remove {cache / 'one.pth'} and one.pth.sha256" in caught.value.remedy


def test_one_that_fails_does_not_hide_the_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    good = site.source("one.pth", b"weights")
    bad = replace(good, name="two", url=f"{site.address}/missing.pth")
    monkeypatch.setattr(pretrained, "SOURCES", (bad, good))
    told: list[tuple[Any, ...]] = []
    result = pretrained.pull(["two", "one", "two"], lambda *arguments: told.append(arguments))
    assert [found.source.name for found in result.found] == ["one"]
    failure, document = result.failed[0], result.to_json()
    assert failure.part == {"name": "two"} and isinstance(failure.error, EnvironmentRefused) and result.exit_code == 7
    assert "404" in document["failed"][0]["reason"] and document["pulled"][0]["name"] == "one"
    assert told and told[0][0] == "download one.pth, MB"
    assert [row["path"] is not None for row in pretrained.list_weights().to_json()["weights"]] == [False, True]


def test_a_cache_that_cannot_be_is_said(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentRefused) as caught:
        pretrained.fetch(site.source("one.pth", b"weights"))
    assert str(tmp_path / "file") in caught.value.message and "EDGEKIT_CACHE" in caught.value.remedy


# Using it


def test_export_with_pretrained_weights(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = lenet()
    monkeypatch.setattr(pretrained, "SOURCES", (site.source("lenet-12345678.pth", content),))
    said: list[str] = []
    result = edgekit.export(
        "lenet5", weights="pretrained", format=("tflite",), out=tmp_path / "out", progress=said.append
    )
    (artifact,) = result.artifacts
    assert artifact.manifest is not None
    record = artifact.manifest.weights
    assert (record.origin, record.trained) == ("lenet-12345678.pth", True)
    assert record.sha256 == hashlib.sha256(content).hexdigest() and record.id == record.sha256[:8]
    assert artifact.manifest.preprocessing == DIGITS  # the source's, which is not the network's own
    assert "download lenet-12345678.pth: 0 % of 0 MB" in said and len(site.asked) == 1


@pytest.mark.data
def test_keras_weights_by_name_bring_their_variant(cache: Path) -> None:
    path = DATA / "weights" / "mobilenet_0.25_128_keras.h5"
    (cache / "mobilenet_2_5_128_tf.h5").write_bytes(path.read_bytes())
    name = "pretrained:mobilenet_0.25_128_keras"
    point = weights.variant_of(name, "mobilenet")
    assert str(point) == "mobilenet_0.25_128"
    loaded = weights.load(point.build(), point, name)
    assert loaded.preprocessing.class_offset == 0


def test_hosted_weights_bring_their_variant(site: Site, monkeypatch: pytest.MonkeyPatch, hosted_tflite: Path) -> None:
    source = pretrained.named("mobilenet_0.25_128_uint8")
    assert source.member is not None
    content = archive({f"./{source.member}": hosted_tflite.read_bytes()})
    (site.folder / source.arrival).write_bytes(content)
    served = replace(source, url=f"{site.address}/{source.arrival}", sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(pretrained, "SOURCES", (served,))
    point = weights.variant_of("pretrained", "mobilenet", 0.25, 128)
    assert (point.alpha, point.resolution, point.classes) == (0.25, 128, 1001)
    loaded = weights.load(point.build(), point, "pretrained")
    assert loaded.preprocessing == source.preprocessing and loaded.ranges


def test_densenet_files_with_the_old_names_fit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = variant("densenet121", classes=3).build().state_dict()
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in name else name: tensor
        for name, tensor in tensors.items()
    }
    assert old.keys() != tensors.keys()
    torch.save(old, tmp_path / "densenet.pth")
    point = weights.variant_of(str(tmp_path / "densenet.pth"), "densenet121")
    network = point.build()
    weights.load(network, point, str(tmp_path / "densenet.pth"))
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())
