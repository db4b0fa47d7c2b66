"""Networks of Keras files answer as Keras itself does; what is no network, or is not read, is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.importers.keras.reader import open_source
from edgekit.ir.layer_table import table
from edgekit.ir.passes.fold_batch_norm import fold
from tests.checkpoints.keras.test_reader import unpacked as unpacked_weights
from tests.importers.keras.files import (
    SAMPLES,
    Config,
    answers,
    changed,
    examples,
    layer,
    old_form,
    opened,
    unpacked,
    wanted,
)  # fmt: skip

pytest.importorskip("h5py")

FILES = sorted(path.name.removesuffix(".xz") for path in SAMPLES.glob("*.xz"))


@pytest.mark.parametrize("name", FILES)
def test_a_network_answers_as_keras_does(name: str, tmp_path: Path) -> None:
    source = opened(name, tmp_path)
    found, want = list(answers(source).values()), wanted(name.partition(".")[0])
    assert [y.shape for y in found] == [y.shape for y in want]
    for got, one in zip(found, want, strict=True):
        assert (got - one).abs().max() < 3e-6 * max(1.0, float(one.abs().max()))
    assert source.record.format == "keras" and source.record.producer.startswith("keras 3")


def test_the_graph_computes_the_same_under_the_names_of_the_file(tmp_path: Path) -> None:
    source = opened("residual.keras", tmp_path)
    graph = fold(trace(source.build().eval(), *source.shapes.values())).graph
    given = examples(source)
    assert torch.allclose(graph.run(*given), wanted("residual")[0], atol=1e-6)
    names = [row.name for row in table(graph).rows]
    assert list(source.shapes) == ["image"] and {"conv2d", "conv2d_1", "dense", "dense_1"} <= set(names)
    assert [op.kind for op in graph].count("add") == 3  # two blocks, and the offset of the pixels


def test_outputs_bear_their_keys_else_their_layers(tmp_path: Path) -> None:
    assert list(answers(opened("shapes.keras", tmp_path))) == ["flat", "map", "pooled"]
    assert list(answers(opened("several.keras", tmp_path))) == ["get_item", "softmax"]
    assert dict(opened("several.keras", tmp_path).shapes) == {"image": (1, 3, 6, 6), "state": (1, 5)}


def test_what_keras_2_wrote_is_read_in_its_own_form_and_sense(tmp_path: Path) -> None:
    def steep(config: Config) -> None:
        layer(config, "LeakyReLU").update(class_name="Activation", config={"activation": "hard_sigmoid"})

    def old(config: Config) -> None:
        steep(config)
        old_form(config)

    new = answers(open_source(changed(tmp_path, steep), None))
    same = answers(open_source(changed(tmp_path, old), None))
    other = answers(open_source(changed(tmp_path, old, version="2.15.0"), None))
    assert all(torch.equal(new[name], same[name]) for name in new)
    assert not any(torch.allclose(new[name], other[name], atol=1e-4) for name in new)  # another hard_sigmoid


def test_operations_of_keras_2_are_layers_of_one_class(tmp_path: Path) -> None:
    def lambdas(config: Config) -> None:
        config["config"]["layers"] = [one for one in config["config"]["layers"] if one["class_name"] != "Rescaling"]
        for name, function, by in (("a", "math.truediv", 127.5), ("rescaling", "math.subtract", 1.0)):
            node = ["image" if name == "a" else "a", 0, 0, {"y": by, "name": None}]
            entry = {"class_name": "TFOpLambda", "config": {"name": name, "function": function}, "name": name}
            config["config"]["layers"].append({**entry, "inbound_nodes": [node]})

    found = answers(open_source(changed(tmp_path, lambdas), None))
    assert torch.allclose(next(iter(found.values())), wanted("residual")[0], atol=1e-6)


def open_sizes(config: Config) -> None:
    layer(config, "InputLayer")["config"]["batch_shape"] = [None, None, None, 3]


def test_sizes_that_are_left_open_are_given_channels_first(tmp_path: Path) -> None:
    path = changed(tmp_path, open_sizes, "shapes")
    with pytest.raises(UsageError, match=r"input image of shapes.keras leaves sizes open \(\?x3x\?x\?\)") as caught:
        open_source(path, None)
    assert "--input image=1,3,224,224" in caught.value.remedy
    assert dict(open_source(path, [(1, 3, 6, 5)]).shapes) == {"image": (1, 3, 6, 5)}
    with pytest.raises(UsageError, match="input image of residual.keras is .x3x12x10, not 1x3x9x9"):
        opened("residual.keras", tmp_path, [(1, 3, 9, 9)])


def test_a_model_that_begins_with_a_scale_takes_pixels(tmp_path: Path) -> None:
    own, assumed = opened("residual.keras", tmp_path), opened("shapes.keras", tmp_path)
    assert own.preprocessing and own.preprocessing.mean == (0.0,) * 3 and own.notes == ()
    assert assumed.preprocessing and assumed.preprocessing.mean == (127.5,) * 3 and "--preprocess" in assumed.notes[0]
    assert opened("several.keras", tmp_path).preprocessing is None


def of_class(kind: str, other: str) -> Callable[[Config], object]:
    return lambda config: layer(config, kind).update(class_name=other)


def waiting(config: Config) -> None:
    node = layer(config, "Add")["inbound_nodes"][0]["args"][0]
    node[1]["config"]["keras_history"] = ["add_1", 0, 0]


def from_nowhere(config: Config) -> None:
    layer(config, "Add")["inbound_nodes"][0]["args"][0][1]["config"]["keras_history"] = ["conv2d", 7, 0]


def another_output(config: Config) -> None:
    layer(config, "Add")["inbound_nodes"][0]["args"][0][1]["config"]["keras_history"][2] = 5


def doubled(config: Config) -> None:
    """Twenty models, each of which calls the one before it twice."""
    model: Config = {"class_name": "ReLU", "config": {}, "name": "inner"}
    for _ in range(20):
        model["inbound_nodes"] = [[["i", 0, 0]], [["inner", 0, 0]]]
        given = {"class_name": "InputLayer", "config": {"batch_shape": [None, 4]}, "name": "i", "inbound_nodes": []}
        ends = {"input_layers": [["i", 0, 0]], "output_layers": [["inner", 1, 0]]}
        model = {"class_name": "Functional", "config": {"layers": [given, model], **ends}, "name": "inner"}
    config.update(model)


def set_in(kind: str, **settings: Any) -> Callable[[Config], object]:
    return lambda config: layer(config, kind)["config"].update(settings)


@pytest.mark.parametrize(("change", "cause"), [
    (of_class("LeakyReLU", "Lambda"), r"has layers that edgekit does not read: Lambda \(1\)"),
    (of_class("LeakyReLU", "My>Attention"), r"does not read: My>Attention \(1\)"),
    (lambda config: config.update(class_name="MyModel"), "a model of the class MyModel"),
    (waiting, "waits for its own result"),
    (from_nowhere, "reads call 7 of conv2d, which its configuration lacks"),
    (lambda config: config.update(config={}), "no readable Keras configuration"),
    (lambda config: config["config"].update(output_layers=7), "no readable Keras configuration"),
    (set_in("InputLayer", dtype="int32"), "input image of residual.keras takes int32"),
    (set_in("Dense", units=9), r"the kernel of layer dense \(Dense\) in residual.keras is 4x4, .* says \?x9"),
    (set_in("Conv2D", filters=10**12), r"is 3x3x3x4, and its configuration says 3x3x\?x1000000000000"),
    (set_in("SeparableConv2D", kernel_size=[5, 5]), r"the depthwise_kernel of layer .* says 5x5x\?x1"),
    (lambda config: config["config"].update(output_layers=[]), "residual.keras has no outputs"),
    (doubled, "residual.keras calls [0-9,]+ layers, and edgekit reads at most 50,000"),
    (set_in("Conv2D", use_bias=True), r"lacks bias of its layer conv2d \(Conv2D\)"),
])  # fmt: skip
def test_a_configuration_that_is_not_read_is_refused(
    change: Callable[[Config], object], cause: str, tmp_path: Path
) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(UsageError, match=cause) as caught:
        open_source(path, None)
    assert "\n" not in caught.value.message and caught.value.remedy


@pytest.mark.parametrize(("change", "cause"), [
    (set_in("Conv2D", activation="mine"), r"layer conv2d \(Conv2D\) has the activation mine, which is not read"),
    (set_in("Conv2D", padding="full"), "has the padding full"),
    (set_in("Conv2D", strides=[0, 0]), "has strides"),
    (set_in("Concatenate", axis=9), "has axis 9 of 4"),
    (set_in("Reshape", target_shape=[3, -1]), "makes"),
    (another_output, r"output 5 of layer \w+ is read, which makes 1"),
    (set_in("Add"), None),
    (set_in("AveragePooling2D", pool_size=[4, 4], strides=[4, 4]), r"layer concatenate \(Concatenate\) cannot be"),
])  # fmt: skip
def test_a_layer_that_cannot_be_computed_is_named(
    change: Callable[[Config], object], cause: str | None, tmp_path: Path
) -> None:
    source = open_source(changed(tmp_path, change), None)
    if cause is None:
        assert answers(source)
        return
    with pytest.raises(UsageError, match=cause) as caught:
        answers(source)
    assert "\n" not in caught.value.message and caught.value.remedy


def test_weights_alone_are_no_network(tmp_path: Path) -> None:
    path = unpacked_weights("convolutional_head.weights.h5", tmp_path)
    with pytest.raises(UsageError, match="holds weights alone") as caught:
        open_source(path, None)
    assert "model.save" in caught.value.remedy
    (tmp_path / "text.h5").write_text("no file of HDF5")
    with pytest.raises(UsageError, match="no readable HDF5"):
        open_source(tmp_path / "text.h5", None)
    whole = unpacked("residual.keras", tmp_path)
    whole.write_bytes(whole.read_bytes()[:4000])
    with pytest.raises(UsageError, match="no readable .keras"):
        open_source(whole, None)
