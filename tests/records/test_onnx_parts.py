"""ONNX files whose weights are in other files: they are one with them, and what is missing is said."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.errors import UsageError
from edgekit.records import onnx_parts
from edgekit.records.artifact import open_artifact
from edgekit.records.manifest import manifest_path, read_manifest
from edgekit.storage.store import open_store
from edgekit.util.files import file_sha256
from tests.evaluation.files import sealed

onnx = pytest.importorskip("onnx")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for the store."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def split(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file whose weights are in `location`, in a folder of its own."""

    def write(folder: str = "a", seed: int = 0, location: str = "net.onnx.data", nested: bool = False) -> Path:
        weights = np.random.default_rng(seed).standard_normal((300, 3, 3, 3)).astype(np.float32)
        make, real = onnx.helper, onnx.TensorProto.FLOAT
        nodes = [make.make_node("Conv", ["x", "w"], ["c"]), make.make_node("GlobalAveragePool", ["c"], ["y"])]
        given = [onnx.numpy_helper.from_array(weights, "w")]
        if nested:  # as the value of an attribute, in the branch of an If
            constant = make.make_node("Constant", [], ["w2"], value=onnx.numpy_helper.from_array(weights))
            branch = make.make_graph(
                [constant], "branch", [], [make.make_tensor_value_info("w2", real, [300, 3, 3, 3])]
            )
            nodes = [make.make_node("If", ["yes"], ["w"], then_branch=branch, else_branch=branch), *nodes]
            given = [onnx.numpy_helper.from_array(np.array(True), "yes")]
        inputs = [make.make_tensor_value_info("x", real, [1, 3, 8, 8])]
        outputs = [make.make_tensor_value_info("y", real, [1, 300, 1, 1])]
        model = make.make_model(
            make.make_graph(nodes, "net", inputs, outputs, given),
            opset_imports=[make.make_opsetid("", 13)],
            ir_version=8,
        )
        path = tmp_path / folder / "net.onnx"
        path.parent.mkdir()
        onnx.save(
            model, str(path), save_as_external_data=True, location=location, size_threshold=0, convert_attribute=nested
        )
        return path

    return write


def test_a_file_is_one_with_its_parts(split: Callable[..., Path], tmp_path: Path) -> None:
    one, same, other = split("a"), split("b"), split("c", seed=1)
    assert one.read_bytes() == same.read_bytes() == other.read_bytes()
    first, second, third = (open_artifact(path) for path in (one, same, other))
    assert first.content and second.content and third.content
    assert first.content.sha256 == second.content.sha256 != third.content.sha256
    assert first.content.bytes == one.stat().st_size + 300 * 27 * 4
    shown = edgekit.inspect(one).to_json()
    assert shown["bytes"] == first.content.bytes and shown["parts"] == [str(one.parent / "net.onnx.data")]
    edgekit.bench([one, other], preset="quick")
    records = open_store().measurements()
    assert [record.sha256 for record in records] == [first.content.sha256, third.content.sha256]
    assert {record.bytes for record in records} == {first.content.bytes}
    assert edgekit.compare(one, other).rows[0].new == records[1].id


def test_a_part_that_changes_while_it_is_used_is_noticed(split: Callable[..., Path]) -> None:
    opened = open_artifact(split())
    (part,) = opened.parts
    part.write_bytes(part.read_bytes()[::-1])
    with pytest.raises(UsageError, match="changed while it was used"):
        opened.still()


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("verb", ["inspect", "bench", "eval"])
def test_a_missing_part_is_said(split: Callable[..., Path], tmp_path: Path, verb: str, nested: bool) -> None:
    path = split(nested=nested)
    (path.parent / "net.onnx.data").unlink()
    (tmp_path / "images" / "0").mkdir(parents=True)
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "0" / "a.png")
    calls: dict[str, Callable[[], object]] = {
        "inspect": lambda: edgekit.inspect(path),
        "bench": lambda: edgekit.bench(path, preset="quick"),
        "eval": lambda: edgekit.eval([path], data=tmp_path / "images"),
    }
    with pytest.raises(UsageError, match=r"has its weights in net.onnx.data, which is missing"):
        calls[verb]()


def test_a_part_that_is_cut_short_or_no_file_is_said(split: Callable[..., Path]) -> None:
    path = split()
    part = path.parent / "net.onnx.data"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(UsageError, match="has 32399 bytes of the 32400 that it needs"):
        open_artifact(path)
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(UsageError, match="is no regular file"):
        open_artifact(path)


def test_a_link_leads_to_no_other_file_but_beside_what_a_link_to_the_model_leads_to(
    split: Callable[..., Path], tmp_path: Path
) -> None:
    path = split()
    part = path.parent / "net.onnx.data"
    cache = tmp_path / "cache"
    cache.mkdir()
    part.rename(cache / "weights")
    part.symlink_to(cache / "weights")
    with pytest.raises(UsageError, match="takes its weights from 'net.onnx.data', a link that leads elsewhere"):
        open_artifact(path)
    path.rename(cache / "model")
    path.symlink_to(cache / "model")
    assert open_artifact(path).parts == (part,)
    part.unlink()
    part.symlink_to(part)
    with pytest.raises(UsageError, match="net.onnx.data"):
        open_artifact(path)


@pytest.mark.parametrize("location", ["/etc/passwd", "../other/secret", "a/../../b", ""])
def test_nothing_outside_the_folder_is_read(split: Callable[..., Path], location: str) -> None:
    path = split()
    model = onnx.load(str(path), load_external_data=False)
    (place,) = [entry for entry in model.graph.initializer[0].external_data if entry.key == "location"]
    place.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="outside its own folder"):
        open_artifact(path)


@pytest.mark.parametrize(
    ("ahead", "marked"),
    [
        (b"", b"\x70\x01"),
        (b"\x38\x01", b"\x70\x01"),  # a number where the graph should be: no reader takes it for one
        (b"\xa3\x06\x38\x01\xa4\x06", b"\x70\x01"),  # a group, which is passed over
        (b"\xa3\x06\xab\x06\xac\x06\xa4\x06", b"\x70\x01"),
        (b"", b"\x70\x81\x80\x80\x80\x10"),  # 2**32 + 1, of which readers take 32 bits
        (b"", b"\x70\x00\x70\x01"),  # the last one counts
    ],
)
def test_parts_are_found_however_a_file_is_written(split: Callable[..., Path], ahead: bytes, marked: bytes) -> None:
    path = split()
    model = onnx.load(str(path), load_external_data=False)
    (tensor,) = model.graph.initializer
    tensor.ClearField("data_location")
    plain = tensor.SerializeToString()
    graph, rest = model.graph, onnx.ModelProto()
    rest.CopyFrom(model)
    del graph.initializer[:]
    rest.ClearField("graph")
    inside = graph.SerializeToString() + _field(5, plain + marked)
    path.write_bytes(ahead + rest.SerializeToString() + _field(7, inside))
    assert onnx.load(str(path), load_external_data=False).graph.initializer[0].data_location == 1
    assert onnx_parts.parts(path) == (path.parent / "net.onnx.data",)


@pytest.mark.parametrize("content", [b"\x08\x00" * 600, b"\x3a\xa0\x06" + b"\x2a\x02\x08\x01" * 200])
def test_a_file_of_more_fields_than_a_network_has(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_parts, "MOST_FIELDS", 500)
    (tmp_path / "many.onnx").write_bytes(content * 2)
    with pytest.raises(UsageError, match="more than 500 fields"):
        open_artifact(tmp_path / "many.onnx")


def test_zeros_are_no_fields(tmp_path: Path) -> None:
    (tmp_path / "zeros.onnx").touch()
    os.truncate(tmp_path / "zeros.onnx", 1 << 30)  # takes no room, and would take a quarter of an hour
    assert onnx_parts.parts(tmp_path / "zeros.onnx") == ()


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_a_linked_file_is_run_where_its_parts_are(split: Callable[..., Path], tmp_path: Path) -> None:
    """As in a cache of downloads: each name is a link to a file that is called by its hash."""
    path, blobs = split(), tmp_path / "blobs"
    blobs.mkdir()
    for index, file in enumerate(sorted(path.parent.iterdir())):
        file.rename(blobs / f"{index}")
        file.symlink_to(blobs / f"{index}")
    assert edgekit.bench(path, preset="quick").measurements[0].bytes == open_artifact(path).still().bytes


def test_what_is_whole_or_no_onnx_has_no_parts(tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    assert onnx_parts.parts(tiny_onnx()) == ()
    random = np.random.default_rng(0)
    for size in (0, 1, 7, 1000):
        path = tmp_path / "noise.onnx"
        for _ in range(50):
            path.write_bytes(random.bytes(size))
            onnx_parts.parts(path)
    whole = tiny_onnx().read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        assert onnx_parts.parts(path) == ()
    path.write_bytes((b"\x3a\xff\xff\xff\xff\x07" + b"\x0a\xff\xff\xff\xff\x07\x2a\xff\xff\xff\xff\x07\x32") * 50_000)
    assert onnx_parts.parts(path) == ()


def test_a_manifest_that_leaves_out_the_parts_is_of_another_file(split: Callable[..., Path]) -> None:
    path = split()
    assert read_manifest(manifest_path(sealed(path))).sha256 == file_sha256(path)
    with pytest.raises(UsageError, match="not the file that its manifest describes"):
        open_artifact(path)
