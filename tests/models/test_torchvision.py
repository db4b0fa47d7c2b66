"""torchvision's state_dict loads as it is, and gives its outputs; runs where torchvision is installed."""

from __future__ import annotations

import pytest
import torch

from edgekit.network.spec import variant

NAMES = {
    "alexnet_tv": "alexnet",
    "googlenet_bn": "googlenet",
    "mnasnet": "mnasnet1_0",
    **{name: name for name in ("resnet18", "resnet50", "resnext50_32x4d", "vgg11_bn", "inception_v3", "densenet121")},
    **{name: name for name in ("squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "efficientnet_b0")},
}


@pytest.mark.parametrize("name", NAMES)
def test_its_weights_give_its_outputs(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    heads = {"init_weights": False, "aux_logits": True} if name in ("googlenet_bn", "inception_v3") else {}
    theirs = getattr(models, NAMES[name])(weights=None, **heads).eval()
    ours = variant(name).build()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(variant(name).input_shape)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
