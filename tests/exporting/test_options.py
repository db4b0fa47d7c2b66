"""The one model of export's options, and what is made from it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer.main

import edgekit
from edgekit.cli.app import app
from edgekit.errors import UsageError
from edgekit.exporting.options import DEFAULTS, OPTIONS, ExportOptions, check_heeded, flag

COMMANDS: Any = typer.main.get_command(app)


def test_every_field_is_an_option_with_a_help_but_the_network_and_who_listens() -> None:
    assert {one.name for one in fields(ExportOptions)} == {*OPTIONS, "model", "force", "progress"}
    assert all(option.help for option in OPTIONS.values())


def test_the_function_has_real_arguments_with_types_and_defaults() -> None:
    signature, hints = inspect.signature(edgekit.export), get_type_hints(edgekit.export)
    assert list(signature.parameters) == ["model", *OPTIONS, "force", "progress"]
    assert {name: signature.parameters[name].default for name in OPTIONS} == DEFAULTS
    assert signature.parameters["model"].kind == inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert all(signature.parameters[name].kind == inspect.Parameter.KEYWORD_ONLY for name in OPTIONS)
    assert (hints["format"], hints["data"], hints["max_drop"]) == (Sequence[str], str | Path | None, float | None)
    assert signature.return_annotation is hints["return"]


@pytest.mark.parametrize(("arguments", "cause"), [(("lenet5",), "'alfa'"), ((), "'model'")])
def test_a_wrong_argument_is_told_with_the_name_of_the_function(arguments: Any, cause: str) -> None:
    export: Any = edgekit.export
    with pytest.raises(TypeError, match=rf"export\(\) .*{cause}"):
        export(*arguments, **({"alfa": 0.5} if arguments else {}))


@pytest.mark.parametrize("name", ["export", "sweep"])
def test_the_command_line_has_every_option_under_its_name_and_with_its_help(name: str) -> None:
    options = {option: parameter for parameter in COMMANDS.commands[name].params for option in parameter.opts}
    for option, about in OPTIONS.items():
        assert all(one in options for one in about.names or (flag(option),)), option
        if name == "export":
            assert options[flag(option)].help == about.help + ("  [default: fp32]" if option == "precision" else "")


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        ({"io": "uint9"}, "--io cannot be 'uint9'; did you mean 'uint8'"),
        ({"output": "sofmax"}, "--output cannot be 'sofmax'; did you mean 'softmax'"),
        ({"ranges": "x"}, "--ranges cannot be 'x'"),
        ({"max_drop": float("nan")}, "--max-drop is in points"),
        ({"max_latency": 0.0}, "--max-latency cannot be '0.0'"),
        ({"max_bytes": 0}, "--max-bytes cannot be '0'"),
        ({"max_batch": 1}, "--max-batch must be at least 2"),
        ({"opset": 99}, "ONNX opset 99 is not supported"),
        ({"precision": ["int4"]}, "unknown precision 'int4'"),
        ({"format": []}, "nothing to export"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_where_it_is_given(asked: dict[str, Any], cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        ExportOptions("lenet5", **asked)


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        ({"opset": 17, "format": ["tflite"]}, "--opset is for ONNX files"),
        ({"io": "uint8", "precision": ["int8"]}, "--io uint8 is for int8 TFLite files"),
        ({"io": "uint8", "format": ["tflite"]}, "--io uint8 is for int8 TFLite files"),
        ({"max_batch": 4, "format": ["tensorrt"]}, "--max-batch is for TensorRT engines whose batch is open"),
        ({"max_batch": 4, "dynamic_batch": True}, "--max-batch is for TensorRT engines whose batch is open"),
        ({"int8_effort": "fast"}, "--int8-effort fast is for int8 files"),
    ],
)
def test_an_option_that_no_file_heeds_is_refused(asked: dict[str, Any], cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        check_heeded(ExportOptions("lenet5", **asked))


def test_a_file_is_asked_only_what_it_heeds() -> None:
    asked = ExportOptions(
        "lenet5", format=["onnx", "litert", "trt"], precision=["half", "int8"], opset=15, max_batch=4,
        dynamic_batch=True, max_drop=1.0, output="softmax",
    )  # fmt: skip
    shared = {"dynamic_batch": True, "output": "softmax"}
    assert asked.for_files(["onnx"], ["fp16"]).given() == {
        **shared, "opset": 15, "format": ("onnx",), "precision": ("fp16",)
    }  # fmt: skip
    assert asked.for_files(["tensorrt"], ["int8"]).given() == {
        **shared, "max_batch": 4, "max_drop": 1.0, "format": ("tensorrt",), "precision": ("int8",)
    }  # fmt: skip


def test_formats_and_precisions_may_be_one_text() -> None:
    asked = ExportOptions("lenet5", format="tflite, onnx", precision="fp32")
    assert asked.format == ("tflite", "onnx") and asked.precision == ("fp32",)


def test_limits_are_read_as_those_of_choose_are() -> None:
    asked = ExportOptions("lenet5", max_bytes="10kB", max_latency="250us", max_drop="0.5")  # type: ignore[arg-type]
    assert (asked.max_bytes, asked.max_latency, asked.max_drop) == (10_000, 0.25, 0.5)
    assert isinstance(asked.max_bytes, int) and ExportOptions("lenet5", max_bytes=7).max_bytes == 7


def test_weights_may_be_a_path() -> None:
    assert ExportOptions("lenet5", weights=Path("net.pth")).weights == "net.pth"  # type: ignore[arg-type]
