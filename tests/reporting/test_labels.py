"""Names of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.reporting.rows import rows

if TYPE_CHECKING:
    from tests.reporting.conftest import Records


def test_names_are_short_and_told_apart(make: Records) -> None:
    one, other = make.manifest(), make.manifest(trained=False)
    found = rows([make.measurement(one), make.measurement(other)], [])
    assert {row.label for row in found} == {
        "mobilenet_0.5_160 fp32 onnxruntime (mobilenet_v1.tflite, local, 1 thread, batch 1)",
        "mobilenet_0.5_160 fp32 onnxruntime (random, local, 1 thread, batch 1)",
    }
    assert rows([make.measurement(one)], [])[0].short == "0.5_160"
    two = rows([make.measurement(one), make.measurement(make.manifest("lenet5"))], [])
    assert {row.short for row in two} == {"mobilenet_0.5_160", "lenet5"}, "two networks keep their names"
