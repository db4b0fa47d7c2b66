"""Weights that were made to do harm: none reads another file, and none takes memory that its network does not need."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.checkpoints import hdf5
from edgekit.checkpoints import load as weights
from edgekit.errors import UsageError
from edgekit.network.spec import variant
from tests.checkpoints.test_hosted import keras_file
from tests.waiting import PATIENCE

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")

KERNEL, BIAS = "conv_preds/conv_preds/kernel:0", "conv_preds/conv_preds/bias:0"
MEMORY = 3 << 30  # of address space beyond what is taken already: torch alone reserves a part of it


def refused(path: Path, model: str = "mobilenet") -> str:
    """What is said of a file, which must be refused before much memory is taken for it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    try:
        with pytest.raises(UsageError) as caught:
            weights.variant_of(str(path), model)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert "\n" not in caught.value.message + caught.value.remedy and caught.value.remedy
    return caught.value.message


def external(file: Any, secret: Path) -> None:
    del file[BIAS]
    file.create_dataset(BIAS, (10,), np.uint8, external=[(os.fsencode(secret), 0, 10)])


def virtual(file: Any, secret: Path) -> None:
    layout = h5py.VirtualLayout((10,), np.float32)
    layout[:] = h5py.VirtualSource(str(secret), "bias", (10,))
    del file[BIAS]
    file.create_virtual_dataset(BIAS, layout)


def linked(file: Any, secret: Path) -> None:
    file["model_weights"] = h5py.ExternalLink(str(secret), "/")


def soft(file: Any, secret: Path) -> None:
    file["model_weights"] = h5py.SoftLink("/conv1")


@pytest.mark.parametrize("attack", [external, virtual, linked, soft])
def test_a_keras_file_reads_no_other_file(attack: Callable[[Any, Path], None], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    keras_file(secret) if attack is linked else secret.write_bytes(b"0123456789")
    path = keras_file(tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        attack(file, secret)
    assert "from elsewhere" in refused(path)


def test_external_storage_on_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = keras_file(tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        external(file, tmp_path / "pipe")
    code = f"import edgekit.models, edgekit.checkpoints.load as weights; weights.variant_of({str(path)!r}, 'mobilenet')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "from elsewhere" in done.stderr


def test_names_that_could_all_be_one_long_text_are_not_read(tmp_path: Path) -> None:
    """Each is a reference of 16 bytes: where all lead to the text of 2 MB, 3,000 of them take 6 GB."""
    with h5py.File(tmp_path / "many.h5", "w") as file:
        file.attrs.create("long", "x" * 2_000_000, dtype=h5py.string_dtype())
        for name, count in (("few", 2), ("many", 3000)):
            file.attrs.create(name, ["b"] * count, dtype=h5py.string_dtype())
        file.attrs.create("fixed", np.array([b"b"] * 3000))
    with hdf5.opened(tmp_path / "many.h5") as file:
        assert hdf5.names(file, "few") == ["b"] * 2 and hdf5.names(file, "many") is None
        assert hdf5.names(file, "fixed") == ["b"] * 3000


def test_a_layer_behind_a_link_is_missing(tmp_path: Path) -> None:
    other = keras_file(tmp_path / "other.h5")
    path = keras_file(tmp_path / "w.h5", drop="conv_dw_7")
    with h5py.File(path, "r+") as file:
        file["conv_dw_7"] = h5py.ExternalLink(str(other), "/conv_dw_7")
    assert "convolutions are missing" in refused(path)


@pytest.mark.parametrize("kind", ["chunked", "one chunk", "text", "compound", "without shape", "six axes"])
def test_a_keras_array_that_the_network_cannot_need_is_not_read(kind: str, tmp_path: Path) -> None:
    path = keras_file(tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        if kind == "chunked":
            file.create_dataset(KERNEL, (1, 1, 256, 1 << 40), np.float32, chunks=(1, 1, 256, 4096), compression="gzip")
        elif kind == "one chunk":
            file.create_dataset(KERNEL, (1, 1, 1, 1), np.uint8, chunks=(1, 1, 2, (1 << 30) - 1), maxshape=(None,) * 4)
        elif kind == "text":
            file.create_dataset(KERNEL, (4,), h5py.string_dtype())
        elif kind == "compound":
            file.create_dataset(KERNEL, (4,), np.dtype([("a", np.float32)]))
        elif kind == "without shape":
            file[KERNEL] = h5py.Empty("f")
        else:
            file.create_dataset(KERNEL, (1, 1, 1, 1, 1, 256), np.float32)
    assert "numbers" in refused(path)


def test_a_keras_kernel_of_volumes_is_none_of_maps(tmp_path: Path) -> None:
    path = keras_file(tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        file.create_dataset(KERNEL, (1, 1, 1, 1, 256), np.float32)
    assert "has 5 axes" in refused(path)


def npy(shape: str, descr: str = "'<f4'", version: bytes = b"\x01\x00") -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + version + len(head).to_bytes(2 if version[0] == 1 else 4, "little") + head


ARRAYS = {
    "a shape without numbers": (npy("(1000000000000,)"), "numbers or more"),
    "a shape of nothing times much": (npy("(0, 99999999999999999999999)"), "npz"),
    "fewer than none": (npy("(-5000, 10)") + bytes(64), "npz"),
    "many zeros in few bytes": (npy("(400000000,)") + bytes(1 << 24), "numbers or more"),
    "no array": (bytes(1 << 24), "no array"),
    "a structure": (npy("(4,)", "[('a', '<f4')]"), "torch has not"),
    "dates": (npy("(4,)", "'<M8[s]'"), "torch has not"),
    "objects": (npy("(4,)", "'|O'"), "would run code"),
    "text of any length": (npy("(4,)", "'<U999999999'"), "npz"),
    "another version": (npy("(4,)", version=b"\x09\x00"), "npz"),
    "a head of parentheses": (npy("(" * 5000 + ")" * 5000), "npz"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_archive_of_arrays_that_the_network_cannot_need(name: str, tmp_path: Path) -> None:
    content, said = ARRAYS[name]
    with zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("classifier.weight.npy", content)
    message = refused(tmp_path / "w.npz", "lenet5")
    assert said in message


def test_an_archive_whose_names_come_twice_is_counted_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        for size in ("(4,)", "(90000000000,)"):
            archive.writestr("classifier.weight.npy", npy(size) + bytes(16))
    assert "numbers or more" in refused(tmp_path / "w.npz", "lenet5")


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".pth", ".tflite", ".safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_opened(suffix: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert "no regular file" in refused(path)


def packed_again(path: Path) -> Path:
    """A .pth whose members another program has compressed."""
    again = path.with_name("again.pth")
    with zipfile.ZipFile(path) as saved, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in saved.infolist():
            archive.writestr(member.filename, saved.read(member))
    return again


def test_a_checkpoint_that_was_packed_again_has_the_same_numbers(tmp_path: Path) -> None:
    point = variant("lenet5")
    state = point.build().state_dict()
    torch.save(state, tmp_path / "w.pth")
    network = point.build()
    weights.load(network, point, str(packed_again(tmp_path / "w.pth")))
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_checkpoint_of_many_packed_zeros(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(40_000_000)}, tmp_path / "w.pth")
    assert "numbers or more" in refused(packed_again(tmp_path / "w.pth"), "lenet5")


def tflite(folder: Path, operators: int, shape: tuple[int, ...], tensor: int = 1) -> Path:
    """A .tflite of convolutions that all have one constant as their weight and bias."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    import flatbuffers

    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    graph.tensors[0].shape, graph.tensors[1].shape, graph.tensors[1].buffer = (1, 32, 32, 3), shape, 1
    graph.inputs = graph.outputs = [0]
    for _ in range(operators):
        op = schema.OperatorT()
        op.inputs, op.outputs = [0, tensor, tensor], [0]
        op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.Conv2DOptions, schema.Conv2DOptionsT()
        op.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU6
        graph.operators = [*(graph.operators or ()), op]
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.zeros(64, np.uint8)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path = folder / "w.tflite"
    path.write_bytes(builder.Output())
    return path


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"operators": 28, "shape": (1000, 1000, 30, 30)}, "numbers or more"),
        ({"operators": 900, "shape": (1000, 1000, 1, 1)}, "numbers or more"),
        ({"operators": 2000, "shape": (1, 1, 1, 16)}, "of 2000 layers"),
        ({"operators": 1, "shape": (1, 1, 1, 1, 16)}, "no readable .tflite file"),
        ({"operators": 1, "shape": (1, 1, 1, 16), "tensor": 7}, "a part 7 of 2"),
        ({"operators": 1, "shape": (1, 1, 1, 16), "tensor": -1}, "a part -1 of 2"),
    ],
)
def test_a_tflite_file_that_is_more_than_it_looks(made: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refused(tflite(tmp_path, **made))


def test_plain_arrays_are_taken(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.zeros(3))
    (tmp_path / "w.npz").write_bytes(buffer.getvalue())
    assert "1 unexpected (x)" in refused(tmp_path / "w.npz", "lenet5")


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("suffix", [".npz", ".pth"])
def test_archives_that_python_unpacks_without_bounds(suffix: str, way: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / f"w{suffix}", "w", way) as archive:
        archive.writestr("weight.npy", npy("(4,)") + bytes(1 << 26))
    assert "packed with bzip2 or the like" in refused(tmp_path / f"w{suffix}", "lenet5")


@pytest.mark.parametrize("suffix", [".pth", ".tflite"])
def test_what_is_read_whole_is_no_larger_than_the_network(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    torch.save({"a": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    if suffix == ".tflite":
        path.write_bytes(b"\x1c\0\0\0TFL3")
    os.truncate(path, 1 << 42)  # takes no room
    assert "numbers or more" in refused(path, "lenet5")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_tensor_without_a_shape(tmp_path: Path) -> None:
    ragged = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    torch.save({**variant("lenet5").build().state_dict(), "c1.weight": ragged}, tmp_path / "w.pth")
    assert "other than tensors, first 'c1.weight'" in refused(tmp_path / "w.pth", "lenet5")


@pytest.mark.parametrize("place", ["conv_dw_7", "inner/conv_dw_7"])
def test_a_list_of_layers_leads_to_no_other_file(place: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = keras_file(tmp_path / "w.h5", drop="conv_dw_7")
    with h5py.File(path, "r+") as file:
        below = file.get("model_weights", file)
        outer, _, name = place.rpartition("/")
        (below.create_group(outer) if outer else below)[name] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
        below.attrs["layer_names"] = np.array([*(one.encode() for one in below), place.encode()])
        for owner in (file, below):
            owner.attrs.pop("model_config", None)
    code = f"import edgekit.models, edgekit.checkpoints.load as weights; weights.variant_of({str(path)!r}, 'mobilenet')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert f"takes {place} from elsewhere" in done.stderr
