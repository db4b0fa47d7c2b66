"""Tensors and operators of a TFLite file as plain data."""

from __future__ import annotations

import torch

from edgekit.exporters.tflite.program import Program
from edgekit.ir.quantized import QParams


def test_a_view_that_is_asked_for_twice_is_one_tensor() -> None:
    program, weight = Program(), torch.randn(4, 3)
    first = program.constant("w", weight)
    assert program.constant("again", weight) == first
    assert program.constant("turned", weight.T) != first, "other strides are another tensor"
    assert program.constant("flat", weight, (12,)) != first
    assert [program.tensors[index].shape for index in range(3)] == [(4, 3), (3, 4), (12,)]


def test_vectors_of_integers_are_kept_once() -> None:
    program = Program()
    assert program.integers([1, 2]) == program.integers((1, 2)) != program.integers([2, 1])


def test_names_are_told_apart() -> None:
    program = Program()
    for _ in range(3):
        program.activation("y", (1,), None)
    assert [tensor.name for tensor in program.tensors] == ["y", "y/2", "y/3"]
    program.rename(2, "y")
    assert [tensor.name for tensor in program.tensors] == ["y/inside", "y/2", "y"]


def test_integers_are_of_the_sign_that_their_grid_has() -> None:
    program = Program()
    for low, high in ((-128, 127), (0, 255)):
        program.activation("y", (1,), QParams(scale=0.5, zero_point=low, low=low, high=high))
    assert [tensor.dtype for tensor in program.tensors] == ["int8", "uint8"]
    assert program.tensors[0].grid is not None and program.tensors[0].grid.scales == (0.5,)
