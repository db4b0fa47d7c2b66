"""`edgekit reproduce zoo`: the chart of the field on exact counts, and which printed comparisons follow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekit.network.spec import MODELS
from edgekit.reproduction.zoo import Claim, Compared, ZooReproduction, reproduce_zoo
from edgekit.reproduction.zoo_charts import PALETTE, accuracy_over_macs, accuracy_per_parameter, names

OWN = """
from torch import nn

def tiny():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1000))
"""
SAVED = ("zoo.csv", "new/zoo.tex", "zoo.svg", "zoo.PNG")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> ZooReproduction:
    """The zoo with a network of one's own, saved in every format."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "mine.py").write_text(OWN)
    given = [f"{folder / 'mine.py'}:tiny=71.5"]
    return reproduce_zoo(folder, f"sqlite:///{folder / 'none.db'}", given, [folder / name for name in SAVED])


def test_ones_own_network_stands_in_the_chart(found: ZooReproduction) -> None:
    (mine,) = (point for point in found.points if point.family == "own")
    assert mine.macs == 3 * 3 * 3 * 8 * 112 * 112 + 8 * 1000 and mine.params == 8 * 28 + 9000
    assert (mine.top1, mine.source, mine.label) == (0.715, "given", "mine.py:tiny")
    assert mine.front, "nothing is as cheap"
    assert not any("latency" in note for note in found.notes), "nothing in the store was timed"
    assert len({point.family for point in found.points} - {"own"}) <= len(PALETTE), "each family has its color"
    assert mine.variant in found.paths[0].read_text(encoding="utf-8")


def test_the_suffix_says_the_format(found: ZooReproduction) -> None:
    page, table, latex, svg, png = found.paths
    lines = table.read_text().splitlines()
    assert page.name == "zoo.html" and lines[0].startswith("variant,family,top1,macs,params,ms_fp32")
    assert len(lines) == 1 + len(found.points)
    assert latex.read_text().startswith("\\begin{tabular}") and "mine" in svg.read_text()
    assert svg.read_text().startswith("<svg") and png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("claimed", "large", "at_least", "follows"),
    [
        ("27", 27_200, False, "yes"),
        ("32", 32_690, False, "cut off, not rounded"),
        ("9.4", 9_470, False, "cut off, not rounded"),
        ("9.5", 9_470, False, "yes"),
        ("22", 10_700, False, "no"),
        ("50", 48_830, False, "no"),
        ("50", 49_600, False, "yes"),
        ("50", 50_400, False, "yes"),
        ("2.5", 2_780, True, "yes"),
        ("2.5", 2_480, True, "no"),
    ],
)
def test_a_claim_follows_when_it_is_the_ratio_rounded(claimed: str, large: int, at_least: bool, follows: str) -> None:
    assert Compared(Claim("", "", "a", "b", "macs", claimed, at_least), large, 1000).follows == follows


def test_the_comparisons_with_exact_counts(found: ZooReproduction) -> None:
    said = {one.claim.text: (round(one.ratio, 2), one.follows) for one in found.comparisons}
    assert said["27x less computation than VGG-16"] == (27.20, "yes")
    assert said["32x smaller than VGG-16"] == (32.69, "cut off, not rounded")
    assert said["9.4x less computation than AlexNet"] == (9.47, "cut off, not rounded")
    assert said["45x smaller than AlexNet"] == (45.78, "cut off, not rounded")
    assert said["22x less computation than SqueezeNet"] == (10.70, "no")
    assert said["50x fewer parameters than AlexNet"] == (48.83, "no")


def test_every_published_imagenet_accuracy_is_a_point_once(found: ZooReproduction) -> None:
    variants = [point.variant for point in found.points]
    assert len(set(variants)) == len(variants)
    published = {
        name
        for name in MODELS
        if MODELS[name].classes == 1000 and any(p.top1 and p.one_crop for p in MODELS[name].published)
    }
    assert {name for name in published if any(variant.startswith(name) for variant in variants)} == published
    assert not [variant for variant in variants if "cifar" in variant or variant.startswith(("c3d", "lenet"))]


def test_a_point_is_exact_and_of_its_paper(found: ZooReproduction) -> None:
    point = next(point for point in found.points if point.variant == "mobilenet_1.0_224")
    assert (point.macs, point.params, point.top1) == (568_740_352, 4_231_976, 0.706)  # not TF-slim's 70.9
    assert round(point.per_million, 2) == 16.68
    assert point.ms == {"fp32": None, "int8": None}


def test_an_accuracy_of_several_crops_is_on_no_axis_and_said(found: ZooReproduction) -> None:
    by_name = {point.variant: point for point in found.points}
    assert (by_name["resnet50_224"].top1, by_name["vgg16_224"].top1) == (0.7613, 0.71592)  # not 77.15, 73.0
    assert not {"alexnet_227", "plain34_224", "resnet50_224_stride-1x1"} & set(by_name)
    (note,) = (note for note in found.notes if "several crops" in note)
    assert {"alexnet", "plain34", "resnet50 stride 1x1"} <= set(note.partition(": ")[2].split(", "))
    assert note in Path(found.paths[0]).read_text(encoding="utf-8")


def test_the_front_is_not_beaten(found: ZooReproduction) -> None:
    for point in found.points:
        beaten = any(other.macs <= point.macs and other.top1 >= point.top1 and other != point for other in found.points)
        assert point.front is not beaten


def test_the_page_stands_alone_and_names_do_not_collide(found: ZooReproduction) -> None:
    text = Path(found.paths[0]).read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", text)
    assert "cut off, not rounded" in text and 'id="macs"' in text
    assert 'id="time"' not in text, "nothing was measured"
    points = [point.to_json() for point in found.points]
    assert 10 < len(names(points)) < len(points)
    values = accuracy_over_macs(points)["data"]["values"]
    assert {value["variant"] for value in values} == {p["variant"] for p in points}
    assert [value["params_millions"] for value in values] == sorted((p["params"] / 1e6 for p in points), reverse=True)


def test_a_picture_per_parameter_has_each_network_once(found: ZooReproduction) -> None:
    values = accuracy_per_parameter([point.to_json() for point in found.points])["data"]["values"]
    names = [value["label"] for value in values]
    assert "squeezenet1_1" in names and "mobilenet" in names and "mobilenet 0.5" not in names
    assert len({name.partition(" ")[0] for name in names}) == len(names)
