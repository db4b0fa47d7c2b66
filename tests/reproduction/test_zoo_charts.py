"""The pictures of the zoo."""

from __future__ import annotations

from edgekit.reproduction.zoo_charts import PALETTE, accuracy_over_macs, colors, names, tips


def _point(variant: str, family: str, macs: int = 10**9) -> dict[str, object]:
    known = {"variant": variant, "label": variant, "family": family, "macs": macs, "params": 10**6, "top1": 0.7}
    return known | {"source": "", "front": False, "top1_points_per_million_params": 70.0, "ms": {}}


def test_no_two_families_share_a_color_and_ones_own_is_a_star_on_top() -> None:
    points = [_point(f"v{index}", f"Family {index}") for index in range(len(PALETTE))]
    scale = colors([*points, _point("mine", "own")])["scale"]
    assert len(set(scale["range"])) == len(scale["domain"]) == len(PALETTE) + 1 and scale["range"][-1] == "black"
    assert "own" not in colors(points)["scale"]["domain"]
    last = accuracy_over_macs([*points, _point("mine", "own")])["layer"][-2]
    assert last["mark"]["type"] == "point" and last["mark"]["size"] > 100
    star = last["encoding"]["shape"]
    assert star["legend"] is not None and star["datum"] == "your own", "the legend says what the star is"
    assert "own" not in colors([*points, _point("mine", "own")])["legend"]["values"]


def test_ones_own_and_what_papers_compare_with_are_named_first() -> None:
    points = [_point("vgg19_224", "VGG") | {"top1": 0.705}, _point("vgg16_224", "VGG")]
    assert names(points) == {"vgg16_224"}
    assert names([*points, _point("mine", "own")]) == {"mine"}


def test_a_latency_that_is_missing_is_a_dash_or_left_out() -> None:
    points = [_point("a", "A") | {"ms": {"fp32": 1.5, "int8": None}}, _point("b", "B") | {"ms": {"fp32": None}}]
    assert {tip["field"] for tip in tips(points)} & {"told_fp32", "told_int8"} == {"told_fp32"}
    values = {value["variant"]: value for value in accuracy_over_macs(points)["data"]["values"]}
    assert (values["a"]["told_fp32"], values["b"]["told_fp32"]) == ("1.5", "-")


def test_the_axis_says_whose_accuracy_it_is() -> None:
    def title(*sources: str) -> str:
        own = [_point(f"mine{source}", "own") | {"source": source} for source in sources]
        return str(accuracy_over_macs([_point("a", "A"), *own])["encoding"]["y"]["title"])

    assert title() == "Published top-1 accuracy (%)"
    assert title("given") == "Published or given top-1 accuracy (%)"
    assert title("given", "evaluated here") == "Published or given or evaluated top-1 accuracy (%)"


def test_a_name_neither_leaves_the_axis_nor_touches_a_star() -> None:
    long = "mynetworks.py:build_a_small_one"
    padding = [accuracy_over_macs([_point(name, "own")])["encoding"]["x"]["scale"]["padding"] for name in ("a", long)]
    assert padding[0] == 60 and padding[1] > 6 * len(long)
    right = _point("v", "V", int(10**9.1))  # its name begins in the star's right half, and beside a point without one
    assert names([_point("mine", "own"), right]) == {"mine"} and names([_point("mine", "W"), right]) == {"mine", "v"}
