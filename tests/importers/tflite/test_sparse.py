"""Tensors of which a file has only some elements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.importers.tflite.sparse import Level, Sparsity
from tests.importers.tflite.files import model, node, packed, same_as_runtime, sparse, weight


def test_weights_of_which_a_file_has_some_elements_only(tmp_path: Path) -> None:
    nodes = [node("DENSIFY", "few", "w"), node("FULLY_CONNECTED", "x w -", "y")]
    made = model(nodes, {"x": (2, 4)}, ["y"], {"few": weight(5)})
    tensors = {tensor.name: tensor for tensor in made.subgraphs[0].tensors}
    tensors["few"].shape, tensors["few"].sparsity = [3, 4], sparse([0, 2, 2, 5], [0, 3, 0, 1, 2], size=3)
    tensors["w"].shape = [3, 4]
    path = tmp_path / "net.tflite"
    path.write_bytes(packed(made))
    assert [op.kind for op in same_as_runtime(path)] == ["input", "linear"]


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_blocks_of_elements_lie_where_the_file_says(order: list[int]) -> None:
    rows, columns, block = Level(2), Level(0, np.array([0, 1, 2]), np.array([1, 0])), Level(2)
    found = Sparsity((*order[:2], 2), (1,), (rows, columns, block)).dense(np.arange(1, 5), (2, 4))
    if order[0] == 0:
        assert found.tolist() == [[0, 0, 1, 2], [3, 4, 0, 0]]
    else:
        assert found.tolist() == [[0, 0, 3, 4], [1, 2, 0, 0]]
