"""One exported file, whose manifest the tests of snippets change."""

from __future__ import annotations

import pytest

import edgekit
from edgekit.records.manifest import Manifest


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The manifest of LeNet-5 in ONNX."""
    (one,) = edgekit.export("lenet5", format=["onnx"], out=tmp_path_factory.mktemp("made")).artifacts
    assert one.manifest
    return one.manifest
