"""`models` and `summary`: exact beside published, and where a network's memory, parameters and MACs sit."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

import edgekit
import edgekit.models  # registers the zoo
from edgekit.cli.tables import Json, View
from edgekit.cli.views import inspect, network
from edgekit.network.catalog import agrees
from edgekit.network.spec import MODELS, variant
from edgekit.reproduction.zoo import _published


def shown(view: Callable[[Json, int], View], document: Json, width: int = 160) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, markup=False)
    for part in view(document, width):
        console.print(part)
    return stream.getvalue()


@pytest.fixture(scope="module")
def models() -> Json:
    return edgekit.models().to_json()


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


@pytest.mark.parametrize(
    ("printed", "exact", "same"),
    [
        (569e6, 568_740_352, True),
        (0.82e9, 818_924_576, True),
        (3.8e9, 4_089_184_256, False),
        (5e6, 6_998_552, False),
        (60e6, 60_965_224, True),  # whether its zero was meant cannot be told
        (62e6, 60_965_224, False),
        (4_231_976, 4_231_976, True),
        (4_231_977, 4_231_976, False),
    ],
)
def test_a_figure_agrees_when_it_is_the_exact_one_rounded(printed: float, exact: int, same: bool) -> None:
    assert agrees(printed, exact) is same


@pytest.mark.parametrize(
    ("printed", "exact", "unit", "same"),
    [
        (290e6, 290_675_200, 1e6, False),
        (290e6, 290_675_200, None, True),
        (110e6, 109_970_432, 1e6, True),
        (0.30e9, 300_774_272, 1e7, True),
        (60e6, 60_965_224, 1e6, False),
    ],
)
def test_zeros_that_were_printed_are_digits(printed: float, exact: int, unit: float | None, same: bool) -> None:
    assert agrees(printed, exact, unit) is same


def test_models_say_which_published_counts_do_not_follow(models: Json) -> None:
    rows = {row["name"]: row for row in models["models"]}
    documented = {"name", "family", "input_shape", "alphas", "params", "macs", "activation_elements", "published"}
    assert all(documented <= set(row) for row in rows.values())
    assert [p["macs_agrees"] for p in rows["googlenet"]["published"]] == [False]
    assert rows["mobilenet"]["published"][0]["macs_agrees"] is True
    by_source = {p["source"]: p["macs_agrees"] for p in rows["mobilenet_v2"]["published"] if p["alpha"] == 1.0}
    assert by_source["torchvision IMAGENET1K_V1"] is True and by_source["Sandler et al. 2018, Table 4"] is False
    other_points = [p for p in rows["mobilenet"]["published"] if p["alpha"] != 1]
    assert other_points and {p["macs_agrees"] for p in other_points} == {None}


def test_models_mark_them(models: Json) -> None:
    text = shown(network.models, models)
    assert "1.50 G*" in line(text, "googlenet ") and "5.00 M*" in line(text, "googlenet ")
    assert "*" not in line(text, "vgg16 ")
    assert "errata" in text.splitlines()[-1]


def test_models_and_the_chart_of_the_zoo_show_one_accuracy_and_whose_it_is(models: Json) -> None:
    """Of one crop where there is one: VGG-16's paper has 73.0 % at all positions of an image."""
    vgg = line(shown(network.models, models, width=250), "vgg16 ")
    assert "71.6 %" in vgg and "torchvision IMAGENET1K_V1" in vgg
    _, points, _ = _published([])
    (charted,) = (point for point in points if point.variant == "vgg16_224")
    assert (charted.top1, charted.source) == (0.71592, "torchvision IMAGENET1K_V1")


def test_summary_is_the_table_of_lectures() -> None:
    text = shown(network.summary, edgekit.summary("vgg16").to_json())
    assert line(text, "features.0 ").split()[3:] == ["1x64x224x224", "3,211,264", "1,792", "86,704,128", "3", "px"]
    assert line(text, "sum ").split()[1:] == ["15,237,608", "138,357,544", "15,470,264,320"]
    assert "relu" not in text
    assert "58.1 MiB" in text


def test_the_columns_add_up_to_the_last_line() -> None:
    text = shown(network.summary, edgekit.summary("squeezenet1_0").to_json())
    rows = [row.split() for row in text.splitlines()[1 : text.splitlines().index(line(text, "sum "))]]
    for column, total in zip((-5, -4, -3), line(text, "sum ").split()[1:], strict=True):
        assert sum(int(row[column].replace(",", "")) for row in rows) == int(total.replace(",", ""))


def test_layers_of_an_int8_file_are_shown_with_one_decimal() -> None:
    row = {"path": "a.tflite", "format": "tflite", "bytes": 1, "intact": None, "manifest": None, "snippet": None}
    row["quantized_for"] = None
    layers = [{"layer": "conv", "snr_db": 31.23456}, {"layer": "pool", "snr_db": None}]
    text = shown(inspect.inspect, row | {"operators": {}, "operators_reason": None, "labels": [], "layers": layers})
    assert line(text, "conv").split() == ["conv", "31.2"]
    assert line(text, "pool").split() == ["pool", "-"]


def test_listing_the_zoo_imports_neither_torchs_compiler_nor_its_algebra() -> None:
    code = "import sys, edgekit; edgekit.models(); print(sorted({'torch._dynamo', 'sympy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "option", "value", "source"),
    [
        ("lenet5", "pool", "avg", "LeCun"),
        ("fractalnet", "columns", "all", "Larsson"),
        ("resnet50", "stride", "3x3", "torchvision"),
        ("resnet50", "stride", "1x1", "He"),
    ],
)
def test_a_published_row_is_of_its_options_only(name: str, option: str, value: str, source: str) -> None:
    for one in MODELS[name].options[option]:
        rows = variant(name, options={option: one}).published()
        assert any(row.source.startswith(source) for row in rows) is (one == value)


def test_several_networks_are_summarized_in_their_order() -> None:
    both = edgekit.summary(["lenet5", "mobilenet"])
    assert [one.variant for one in both] == ["lenet5_32", "mobilenet_1.0_224"]
    assert both.to_json()["summaries"] == [edgekit.summary(name).to_json() for name in ("lenet5", "mobilenet")]
    assert str(both).count("MACs by kind") == 2
    lines = str(both).splitlines()[:3]
    assert [line.split()[0] for line in lines] == ["variant", "lenet5_32", "mobilenet_1.0_224"], "a line for each first"
    assert "568,740,352" in lines[2]
    assert edgekit.models(["lenet5", "mobilenet"]) == edgekit.models("lenet5", "mobilenet")
