"""How many layers of each kind the older --exportLayerInfo files list, counted by hand (grep) in the samples."""

from __future__ import annotations

import pytest

from edgekit.tensorrt import trtexec_exports
from tests.paths import sample

COUNTED = {
    "trtexec_exportLayerInfo_mobilenet_qat_trt8.json": {
        "CaskConvolution": 36, "CudaDepthwiseConvolution": 17, "NoOp": 1, "Reformat": 18, "TiledPooling": 1,
    },
    "trtexec_exportLayerInfo_resnet18_fp16_A100_trt8.json": {
        "CaskConvolution": 21, "CaskPooling": 1, "CudaPooling": 1, "NoOp": 11, "Reformat": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_layers_by_kind(name: str) -> None:
    assert trtexec_exports.parse_layers(sample(name)) == COUNTED[name]
