"""What a sweep may be asked for, and which weights a variant gets."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from edgekit.device.config import LOCAL
from edgekit.device.registry import DeviceList, parse
from edgekit.errors import UsageError
from edgekit.sweeps.command import sweep
from edgekit.sweeps.grid.axes import How, Point, SweepCell
from edgekit.sweeps.grid.cells import cells
from edgekit.sweeps.grid.fields import KEYS
from edgekit.sweeps.grid.file import TYPED
from edgekit.sweeps.grid.reading import grid
from edgekit.sweeps.weights import Source


def written(folder: Path, text: str) -> str:
    path = folder / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_files_of_networks_are_meant_from_where_the_grid_stands(tmp_path: Path) -> None:
    names = [
        "net.onnx",
        "nets/net.tflite",
        "net.py:build",
        str(tmp_path / "far.pt2"),
        "mobilenet",
        "timm.models:resnet18",
    ]
    here = [str(tmp_path / name) for name in names[:4]] + names[4:]
    assert list(grid(written(tmp_path, f"model: [{', '.join(names)}]\n")).model) == here
    assert list(grid(written(tmp_path, f"model: {names[1]}\n")).model) == here[1:2]
    without = grid(written(tmp_path, "model: [net.onnx, mobilenet]\nformat: onnx\nexclude: [{model: net.onnx}]\n"))
    assert {cell.point.model for cell in cells(without, DeviceList({"local": LOCAL}, None))} == {"mobilenet"}


def combined(*model: str, devices: str = "", **asked: Any) -> list[SweepCell]:
    return list(cells(grid(model, **asked), DeviceList({"local": LOCAL, **parse(devices)}, None)))


def test_a_grid_is_every_combination_the_files_of_a_variant_together() -> None:
    asked: dict[str, Any] = {"alpha": (1.0, 0.5), "res": (32,), "precision": ("fp32", "fp16"), "format": ("onnx",)}
    assert grid("mobilenet", **asked).bound == 4
    assert combined("mobilenet", **asked) == [
        SweepCell(Point("mobilenet", 1.0, 32), "onnx", "fp32", How("local")),
        SweepCell(Point("mobilenet", 1.0, 32), "onnx", "fp16", How("local")),
        SweepCell(Point("mobilenet", 0.5, 32), "onnx", "fp32", How("local")),
        SweepCell(Point("mobilenet", 0.5, 32), "onnx", "fp16", How("local")),
    ]


def test_other_names_mean_the_same() -> None:
    found = grid("mobilenet", format=("litert",), precision=("half", "float32"))
    assert (found.format, found.precision) == (("tflite",), ("fp16", "fp32"))


def test_without_measuring_there_is_no_device() -> None:
    assert [cell.device for cell in combined("lenet5", export_only=True, format=("onnx",))] == [None]


def test_a_file_names_a_grid_its_paths_stand_beside_it_and_the_command_line_comes_first(tmp_path: Path) -> None:
    text = "model: mobilenet\nalpha: [1, 0.5]\nres: 64\nweights: w\ndata: images\nout: there\nprecision: int8\n"
    found = grid(written(tmp_path, text), res=(32,), eval=None)
    assert (found.alpha, found.res, found.precision) == ((1.0, 0.5), (32,), ("int8",))
    assert found.weights == str(tmp_path / "w")
    assert (found.export.data, found.out, found.eval) == (tmp_path / "images", tmp_path / "there", None)
    assert grid(written(tmp_path, "model: mobilenet\nweights: random:3\n")).weights == "random:3"


def test_files_with_other_options_of_export_have_a_folder_of_their_own() -> None:
    asked = {"precision": ("fp32", "int8"), "synthetic_calibration": True, "io": ["float32", "uint8"], "opset": [17]}
    found = grid("lenet5", **asked)
    made = {}
    for cell in cells(found, DeviceList({"local": LOCAL}, None)):
        source = Source("random:0", None, True)
        one = found.asked(cell.point, source, (cell.format,), (cell.precision,))
        made[cell.format, cell.precision, cell.point.way] = (str(one.out), one.io, one.opset)
    assert made == {
        ("onnx", "fp32", ""): ("artifacts", "float32", 17),
        ("onnx", "int8", ""): ("artifacts", "float32", 17),
        ("tflite", "fp32", ""): ("artifacts", "float32", None),
        ("tflite", "int8", "io=float32"): ("artifacts/io=float32", "float32", None),
        ("tflite", "int8", "io=uint8"): ("artifacts/io=uint8", "uint8", None),
    }


# Each list holds the one before it ten times: to write the last one out would take longer than anybody has.
LAUGH = "&a0 [x]"
for level in range(1, 12):
    LAUGH = f"&a{level} [{LAUGH}{f', *a{level - 1}' * 9}]"
BAD: dict[str, tuple[str, str]] = {
    "misspelt": ("model: mobilenet\nprecison: int8\n", "unknown key 'precison' .* did you mean 'precision'"),
    "no model": ("alpha: [0.5]\n", "there is no 'model'"),
    "a key twice": ("model: mobilenet\nalpha: [1.0]\nalpha: [0.5]\n", "'alpha' is there twice, first in line 2"),
    "a value twice": ("model: mobilenet\nalpha: [0.5, 0.50]\n", "'alpha' .* holds 0.5 twice"),
    "two names of one": ("model: mobilenet\nprecision: [fp16, half]\n", "'precision' .* holds fp16 twice"),
    "words for numbers": ("model: mobilenet\nres: [large]\n", "'res.0' .* valid integer"),
    "yes for a number": ("model: mobilenet\nalpha: [yes]\n", "'alpha.0' .* valid number"),
    "a fraction of a pixel": ("model: mobilenet\nres: [31.5]\n", "'res.0'"),
    "nested": ("model: mobilenet\nalpha: [[1.0]]\n", "'alpha.0'"),
    "nothing": ("", "is no mapping"),
    "a list": ("- mobilenet\n", "is no mapping"),
    "not YAML": ("model: [\n", r"cannot be read: .* \(line 2, column 1\)"),
    "code": ("model: !!python/object/apply:os.getcwd []\n", "cannot be read"),
    "no threads": ("model: mobilenet\nthreads: 0\n", "'threads.0' .* greater than or equal to 1"),
    "no such precision": ("model: mobilenet\nprecision: int4\n", "unknown precision 'int4'"),
    "no such format": ("model: mobilenet\nformat: onx\n", "unknown format 'onx'; did you mean 'onnx'"),
    "no such preset": ("model: mobilenet\npreset: quik\n", "did you mean 'quick'"),
    "int8 without images": ("model: mobilenet\nprecision: int8\n", "int8 needs images"),
    "no such day": ("model: mobilenet\npreset: 2024-02-30\n", r"2024-02-30 is no timestamp .* \(line 2, column 9\)"),
    "no integer": ("model: mobilenet\nres: !!int abc\n", "abc is no int"),
    "no hexadecimal": ("model: mobilenet\nres: 0x_\n", "0x_ is no int"),
    "no number": ("model: mobilenet\nalpha: [!!float x]\n", "x is no float"),
    "no truth": ("model: mobilenet\nexport_only: !!bool x\n", "x is no bool"),
    "an integer without end": (f"model: mobilenet\nres: {'9' * 5000}\n", "'res'|is no int"),
    "aliases as a value": (f"model: {LAUGH}\n", "'model.0'"),
    "aliases below a key": (f"options: {{x: {LAUGH}}}\nmodel: mobilenet\n", "'options.x'"),
    "aliases as a key": (f"? {LAUGH}\n: 1\n", "a name must be text"),
    "an empty axis": ("model: mobilenet\nformat: []\n", "'format'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_grid_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    text, cause = BAD[name]
    with pytest.raises(UsageError, match=cause) as caught:
        grid(written(tmp_path, text))
    assert "\n" not in caught.value.message and len(caught.value.message) < 2000


# What is wrong with a file is told in its own words, and where: the cause, and the remedy.
WORDS = {
    "for another command": (
        "export_only: true\npreset: quick\n",
        "'preset' in .*, line 3 is not for 'export_only'",
        "",
    ),
    "of a format": (
        "format: tflite\nopset: 13\n",
        "^'opset' in .*grid.yaml, line 3 is for ONNX files",
        "'format: onnx'",
    ),
    "a value": ("precision: int9\n", "'precision' in .*, line 2: unknown precision 'int9'", "fp32"),
    "a plural": ("formats: [onnx, onnx]\n", "'format' in .*, line 2 holds onnx twice", ""),
    "the store": ("store: sqlite:///team.db\n", "'store' in .*, line 2 is no key of a grid", "say --store, or set"),
    "nearly the store": ("stroe: x\n", "'stroe' in .*, line 2 is no key of a grid", "EDGEKIT_STORE"),
    "another option": ("jobs: 2\n", "'jobs' in .*, line 2 is no key of a grid", "say --jobs"),
    "a usual word": (
        "resolution: 32\n",
        "unknown key 'resolution' in .*, line 2; did you mean 'res'",
        "the keys are: model",
    ),
    "no word": ("qqqq: 3\n", "unknown key 'qqqq' in .*, line 2", "the keys are: model, alpha"),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_mistake_in_a_file_is_told_in_its_words_with_its_line(name: str, tmp_path: Path) -> None:
    text, cause, remedy = WORDS[name]
    with pytest.raises(UsageError, match=cause) as caught:
        grid(written(tmp_path, f"model: lenet5\n{text}"))
    assert remedy in caught.value.remedy


def test_what_a_plan_refuses_is_told_in_the_words_of_the_file_and_what_was_typed_as_it_was(tmp_path: Path) -> None:
    file = written(tmp_path, "model: lenet5\nformat: tflite\nprovider: cpu\n")
    with pytest.raises(UsageError, match=r"'provider' in .*grid.yaml, line 3 is for onnx files"):
        sweep(file, dry_run=True)
    with pytest.raises(UsageError, match=r"^--provider is for onnx files"):
        sweep(file, dry_run=True, provider=("cuda",))
    with pytest.raises(UsageError, match=r"^--provider is for onnx files"):
        sweep("lenet5", dry_run=True, format=("tflite",), provider=("cuda",))


@pytest.mark.parametrize(
    "asked", [{"options": {"pool": "max"}}, {"preprocess": {"channels": "L"}}, {"preprocess": {"mean": 100}}]
)
def test_keys_with_values_of_their_own_are_planned(asked: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    places: dict[str, Any] = {"out": tmp_path / "out", "store": f"sqlite:///{tmp_path}/s.db"}
    plan = sweep("lenet5", dry_run=True, weights="pretrained", format=("onnx",), export_only=True, **asked, **places)
    assert [one.todo for one in plan.cells] == [("export",)]


def test_options_that_no_file_has_are_known() -> None:
    typed = set(inspect.signature(sweep).parameters) - {"devices", "executor", "progress", "watch", "model", *KEYS}
    assert typed <= {*TYPED, "continue_"} and not {*TYPED} & {*KEYS}


def test_a_grid_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("model: lenet5")
    with pytest.raises(UsageError, match=r"grid.yml does not exist; did you mean 'grid.yaml'\?"):
        grid(str(tmp_path / "grid.yml"))
    with pytest.raises(UsageError, match="does not exist"):
        grid(str(tmp_path / "no.yaml"))
    (tmp_path / "grid.yaml").write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(UsageError, match="cannot be read"):
        grid(str(tmp_path / "grid.yaml"))
    (tmp_path / "grid.yaml").write_text("#" * 2_000_000)
    with pytest.raises(UsageError, match="2,000,000 bytes"):
        grid(str(tmp_path / "grid.yaml"))


def test_a_million_cells_are_counted_before_anything_is_done(tmp_path: Path) -> None:
    lists = {"alpha": [n / 1000 for n in range(1, 501)], "res": list(range(32, 1032)), "precision": ["fp32", "fp16"]}
    text = "model: mobilenet\nformat: onnx\n" + "".join(f"{key}: {value}\n" for key, value in lists.items())
    with pytest.raises(UsageError, match=r"this grid has 1,000,000 cells, about \d+ days") as caught:
        sweep(written(tmp_path, text), yes=True, out=tmp_path / "out", store=f"sqlite:///{tmp_path}/s.db")
    assert "one sweep takes 100,000 cells" in caught.value.remedy
    with pytest.raises(UsageError, match="this grid has 2,000 cells") as caught:
        sweep(written(tmp_path, text), res=(32, 64), out=tmp_path / "out", store=f"sqlite:///{tmp_path}/s.db")
    assert "--yes" in caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["grid.yaml"]


def test_a_network_may_have_a_preprocessing_of_its_own(tmp_path: Path) -> None:
    found = grid(
        written(
            tmp_path,
            "model: [mobilenet, {model: net.py:build, preprocess: gray.yaml}, {model: lenet5, preprocess: {mean: 9}}]\n"
            "weights: pretrained\npreprocess: color.yaml\n",
        )
    )
    own, color = str(tmp_path / "net.py:build"), tmp_path / "color.yaml"
    assert found.model == ("mobilenet", own, "lenet5") and found.export.preprocess == color
    said = {model: found.of(model).export.preprocess for model in found.model}
    assert said == {"mobilenet": color, own: tmp_path / "gray.yaml", "lenet5": {"mean": 9}}
    weights = Source("pretrained", None, False)
    assert found.of("lenet5").asked(Point("lenet5"), weights, ("onnx",), ("fp32",)).preprocess == {"mean": 9}
    typed = grid([{"model": "lenet5", "preprocess": "gray.yaml"}, "mobilenet"])
    assert typed.model == ("lenet5", "mobilenet") and typed.of("lenet5").export.preprocess == "gray.yaml"


def test_a_network_may_have_weights_of_its_own(tmp_path: Path) -> None:
    entries = "[mobilenet, {model: net.py:build, weights: own}, {model: lenet5, weights: lenet.npz}]"
    found = grid(written(tmp_path, f"model: {entries}\nweights: weights\n"))
    said = [found.of(model).weights for model in found.model]
    assert said == [str(tmp_path / "weights"), "random", str(tmp_path / "lenet.npz")]
    source = Source("random", None, False)
    assert found.of(found.model[1]).asked(Point(found.model[1]), source, ("onnx",), ("fp32",)).weights is None
    with pytest.raises(UsageError, match="'model' in .*grid.yaml, line 1 names lenet5 twice"):
        grid(written(tmp_path, "model: [lenet5, {model: lenet5, weights: lenet.npz}]\n"))
    with pytest.raises(UsageError, match="mobilenet brings no weights in .*grid.yaml, line 1"):
        grid(written(tmp_path, "model: [lenet5, {model: mobilenet, weights: own}]\n"))


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{model: lenet5}", "has nothing of its own"),
        ("{name: lenet5, preprocess: a.yaml}", "cannot have the key 'name' of its own"),
        ("{model: lenet5, preprocess: a.yaml, alpha: 1}", "cannot have the key 'alpha' of its own"),
        ("{model: 5, preprocess: a}", "has a wrong value of 'model'"),
        ("{model: lenet5, weights: [1]}", "has a wrong value of 'weights'"),
        ("{preprocess: a}", "names no network"),
        ("{}", "names no network"),
    ],
)
def test_what_a_network_cannot_have_of_its_own_is_told(entry: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"an entry of 'model' in .*grid.yaml, line 1 {fault}") as caught:
        grid(written(tmp_path, f"model: [mobilenet, {entry}]\n"))
    assert "{model: mynet.py:build, weights: own, preprocess: mine.yaml}" in caught.value.remedy
