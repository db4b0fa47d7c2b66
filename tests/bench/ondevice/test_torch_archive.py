"""An archive of torch.export is data: nothing in a stranger's one runs, and it is no larger than it looks."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.bench.ondevice.torch_archive import GRAPH, PICKLES, WEIGHTS, check, load
from edgekit.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore")


class Net(nn.Module):
    """Has a parameter, a buffer, a constant and a call that takes text."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("scale", torch.ones(1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.gelu(self.conv(x), approximate="tanh") * self.get_buffer("scale") + torch.tensor(2.0)
        return torch.einsum("bchw,bchw->bc", y, y)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "net.pt2"
    torch.export.save(torch.export.export(Net().eval(), (torch.randn(1, 3, 8, 8),)), path)
    return path.read_bytes()


def changed(saved: bytes, path: Path, part: str, change: Callable[[bytes], bytes], packed: bool = False) -> Path:
    """The archive with one part as `change` makes it."""
    way = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(path, "w", way) as new:
        for member in old.infolist():
            data = old.read(member)
            new.writestr(member.filename, change(data) if member.filename.partition("/")[2] == part else data)
    return path


def graph(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    def made(data: bytes) -> bytes:
        found = json.loads(data)
        change(found["graph_module"]["graph"] if "graph_module" in found else found["config"])
        return json.dumps(found).encode()

    return made


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def unpickled(command: str) -> bytes:
    torch.save(Runs(command), stream := io.BytesIO(), pickle_module=pickle)
    return stream.getvalue()


def first(found: Any, name: str) -> Any:
    return next(node for node in found["nodes"] if name in node["target"])


def calls(found: Any, target: str, text: str) -> None:
    found["nodes"][0].update(target=target, inputs=[{"name": "x", "arg": {"as_string": text}, "kind": 1}])


COMMAND = "touch ran"
INJECTED = f"x=__import__('os').system('{COMMAND}')"
ATTACKS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a pickle of inputs": (PICKLES[0], lambda _: unpickled(COMMAND)),
    "a pickle of a weight": (WEIGHTS[0], graph(lambda c: c["conv.weight"].update(use_pickle=True))),
    "a pickle that is called another": (WEIGHTS[0], graph(lambda c: c["conv.weight"].update(path_name="../x"))),
    "an object": (WEIGHTS[1], graph(lambda c: next(iter(c.values())).update(path_name="opaque_obj_0"))),
    "a function of the system": (GRAPH, graph(lambda g: calls(g, "torch.os.system", COMMAND))),
    "a library": (GRAPH, graph(lambda g: calls(g, "torch.ops.load_library.__call__", "./x.so"))),
    "a getter": (GRAPH, graph(lambda g: calls(g, "_operator.attrgetter", "__class__"))),
    "an operator as a value": (
        GRAPH, graph(lambda g: g["nodes"][0]["inputs"][0].update(arg={"as_operator": "torch.os.system"})),
    ),
    "the name of an input": (GRAPH, graph(lambda g: g["inputs"][-1]["as_tensor"].update(name=INJECTED))),
    "the name of a tensor": (WEIGHTS[0], graph(lambda c: c.update({'a"+x': c.pop("conv.weight")}))),
    "a free size": (
        GRAPH,
        graph(lambda g: g["tensor_values"]["x"]["sizes"].__setitem__(
            0, {"as_expr": {"expr_str": f"__import__('os').system('{COMMAND}')", "hint": None}})),
    ),
    "a free size without quotes": (
        GRAPH,
        graph(lambda g: g["tensor_values"]["x"]["sizes"].__setitem__(
            0, {"as_expr": {"expr_str": "exec(chr(112))", "hint": None}})),
    ),
    "a power": (
        GRAPH,
        graph(
            lambda g: g["tensor_values"]["x"]["sizes"].__setitem__(
                0, {"as_expr": {"expr_str": "9**9**9**9", "hint": None}}
            )
        ),
    ),
    "another network beside": (GRAPH, lambda data: data),
    "more numbers than bytes": (
        WEIGHTS[0],
        graph(lambda c: c["scale"]["tensor_meta"].update(
            sizes=[{"as_int": 1 << 40}], strides=[{"as_int": 0}])),
    ),
    "a graph nested deep": (GRAPH, lambda _: b"[" * 200_000),
    "a graph that is none": (GRAPH, lambda _: b"[1, 2]"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_a_strangers_archive_runs_nothing(
    name: str, saved: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = changed(saved, tmp_path / "net.pt2", *ATTACKS[name])
    if name == "another network beside":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("net/models/other.json", b"{}")
    with pytest.raises(UsageError) as caught:
        edgekit.export(str(path), format=["onnx"], out=tmp_path / "out")
    assert "\n" not in caught.value.message and not (tmp_path / "ran").exists()


def test_an_archive_that_was_packed_again_is_refused(saved: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="packed it again"):
        check(changed(saved, tmp_path / "net.pt2", GRAPH, lambda data: data, packed=True))


def test_the_older_form_is_held_to_the_same(saved: bytes, tmp_path: Path) -> None:
    """Up to torch 2.7 the parts have other names, and all tensors are in pickles."""
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        told = next(archive.read(name) for name in archive.namelist() if name.endswith(GRAPH))
    for evil in (False, True):
        torch.save({}, stream := io.BytesIO())
        data = unpickled(f"touch {tmp_path / 'ran'}") if evil else stream.getvalue()
        with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
            for name, content in (("version", b"8.8"), ("serialized_exported_program.json", told)):
                archive.writestr(name, content)
            for name in ("state_dict", "constants", "example_inputs"):
                archive.writestr(f"serialized_{name}.pt", data)
        if evil:
            with pytest.raises(ValueError, match="would run code"):
                check(tmp_path / "net.pt2")
        else:
            check(tmp_path / "net.pt2")
    assert not (tmp_path / "ran").exists()


def test_free_sizes_are_sizes(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.export.export(Net().eval(), (torch.randn(2, 3, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "net.pt2")
    check(tmp_path / "net.pt2")


def test_an_honest_archive_is_exported(saved: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(saved)
    result = edgekit.export(str(tmp_path / "net.pt2"), format=["onnx"], out=tmp_path / "out")
    assert not result.failed


def test_what_torch_only_logs_is_the_cause(
    saved: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def huge(found: Any) -> None:
        if isinstance(found, dict) and isinstance(found.get("as_int"), int):
            found["as_int"] = 10**12
        for one in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
            huge(one)

    path = changed(saved, tmp_path / "net.pt2", GRAPH, graph(huge))
    with pytest.raises(ValueError, match=r"net.pt2, written by .* cannot be read by .*") as caught:
        load(path)
    assert "warnings above" not in str(caught.value)
    assert not caplog.records and "Traceback" not in capfd.readouterr().err
