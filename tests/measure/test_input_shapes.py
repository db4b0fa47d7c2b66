"""Files whose sizes are free: they are measured at the sizes that are asked for, and only compared at the same ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import edgekit
from edgekit.comparison.command import compare
from edgekit.errors import UsageError
from edgekit.records.summary import summary
from edgekit.storage import finding
from edgekit.storage.schema import SCHEMA_VERSION
from edgekit.storage.store import Store, open_store
from tests.storage.older import version

onnx = pytest.importorskip("onnx")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for the store."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def free(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file with inputs whose height and width are free."""

    def write(*names: str) -> Path:
        make, real = onnx.helper, onnx.TensorProto.FLOAT
        inputs = [make.make_tensor_value_info(name, real, ["N", 3, "H", "W"]) for name in names or ("x",)]
        nodes = [make.make_node("Sum", [one.name for one in inputs], ["s"])]
        nodes += [make.make_node("GlobalAveragePool", ["s"], ["p"]), make.make_node("Flatten", ["p"], ["y"])]
        graph = make.make_graph(nodes, "free", inputs, [make.make_tensor_value_info("y", real, ["N", 3])])
        path = tmp_path / "free.onnx"
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
        path.write_bytes(model.SerializeToString())
        return path

    return write


def test_free_sizes_are_asked_for(free: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="has free sizes") as caught:
        edgekit.bench(free(), preset="quick")
    assert "--input" in caught.value.remedy


def test_a_file_is_measured_at_the_sizes_that_are_given(free: Callable[..., Path]) -> None:
    path = free()
    small, large = (edgekit.bench(path, preset="quick", input=(2, 3, size, size)).measurements[0] for size in (8, 64))
    assert small.found["input_shapes"] == {"x": [2, 3, 8, 8]} and small.protocol.batch == 2
    (row,) = compare(small.id, large.id).rows
    assert row.verdict == "not comparable" and "sizes x 2x3x8x8 and x 2x3x64x64" in row.reason
    made = edgekit.report(out="r.csv", format="csv")
    assert sorted(str(row.sizes) for row in made.rows) == ["x 2x3x64x64", "x 2x3x8x8"]
    assert list(finding.all_of(open_store())) == [summary(small), summary(large)]


@pytest.mark.parametrize(
    ("names", "given", "cause"),
    [
        ((), {"z": (1, 3, 8, 8)}, "must name one of this file's inputs: x"),
        (("a", "b"), {"": (1, 3, 8, 8)}, "must name one of this file's inputs: a, b"),
        ((), {"": (1, 4, 8, 8)}, "does not fit 'x'"),
        ((), {"": (1, 3, 8)}, "does not fit 'x'"),
        ((), {"": (1, 3, 0, 8)}, "takes sizes from 1 on"),
        ((), {"": ()}, "takes sizes from 1 on"),
        (("a", "b"), {"a": (1, 3, 8, 8), "b": (2, 3, 8, 8)}, "inputs of one batch"),
    ],
)
def test_sizes_that_cannot_be(
    free: Callable[..., Path], names: tuple[str, ...], given: dict[str, tuple[int, ...]], cause: str
) -> None:
    with pytest.raises(UsageError, match=cause):
        edgekit.bench(free(*names), preset="quick", input=given)


def test_a_batch_that_contradicts_is_refused(free: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="--input has batch 1, and --batch another"):
        edgekit.bench(free(), batch=[2, 4], input={"": (1, 3, 8, 8)})


def test_inputs_are_named_on_the_command_line(free: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    from edgekit.cli import options

    assert options.shapes(["a=1,3,8,8", "b:0=2x3"]) == {"a": (1, 3, 8, 8), "b:0": (2, 3)}
    assert options.shapes(["1,3,8,8"]) == {"": (1, 3, 8, 8)} and options.shapes(None) == {}


def test_eval_takes_the_size_from_the_preprocessing_file(free: Callable[..., Path], tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "images" / "0").mkdir(parents=True)
    image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "images" / "0" / "a.png")
    (tmp_path / "how.yaml").write_text("size: [16, 12]\nunits: 0..255\nmean: 0\nstd: 1\n")
    assert edgekit.eval([free()], data="images", preprocess="how.yaml").results[0].accuracy.correct1 == 1


def test_a_store_without_sizes_is_read_and_brought_up_to_date(tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    found = edgekit.bench(tiny_onnx(), preset="quick", store="a.db").measurements[0]
    connection = sqlite3.connect("a.db")
    connection.execute("ALTER TABLE summaries DROP COLUMN sizes")
    connection.execute("UPDATE edgekit_schema SET version = 3")
    connection.commit()
    connection.close()
    store = Store("a.db")
    assert list(finding.all_of(store)) == [summary(found)] and version(tmp_path / "a.db") == 3
    store.check()
    assert version(tmp_path / "a.db") == SCHEMA_VERSION and list(finding.all_of(Store("a.db"))) == [summary(found)]
