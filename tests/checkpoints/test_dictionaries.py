"""What training scripts write around weights: which dictionary is meant, how its names begin, what is no tensor."""

from __future__ import annotations

import argparse
import functools
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import edgekit
from edgekit.checkpoints import load as weights
from edgekit.checkpoints.dictionaries import chosen
from edgekit.errors import UsageError
from edgekit.network.spec import ModelSpec


def build(resolution: int = 8, classes: int = 4) -> nn.Module:
    features = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU())
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes))
    return nn.Sequential(features, *head)


SPEC = ModelSpec("small", "Test", "", build, (3, 8, 8), classes=4)
State = dict[str, Any]


def state(seed: int, prefix: str = "") -> State:
    torch.manual_seed(seed)
    return {prefix + name: torch.rand_like(x) if x.dim() else x for name, x in build().state_dict().items()}


def loaded(folder: Path, content: Any, spec: ModelSpec = SPEC) -> tuple[State, tuple[str, ...]]:
    torch.save(content, folder / "w.ckpt")
    point = weights.variant_of(str(folder / "w.ckpt"), spec)
    network = point.build()
    found = weights.load(network, point, str(folder / "w.ckpt"))
    return network.state_dict(), found.notes


def refusal(folder: Path, content: Any) -> UsageError:
    torch.save(content, folder / "w.ckpt")
    with pytest.raises(UsageError) as caught:
        weights.variant_of(str(folder / "w.ckpt"), SPEC)
    assert "\n" not in caught.value.message + caught.value.remedy
    return caught.value


def alike(found: State, wanted: State) -> bool:
    return all(torch.equal(found[name], wanted[name]) for name in found)


def averaged(seed: int) -> State:
    network = build()
    network.load_state_dict(state(seed))
    return torch.optim.swa_utils.AveragedModel(network).state_dict()


AVERAGED: dict[str, Callable[[], State]] = {
    "timm": lambda: {"state_dict": state(1), "state_dict_ema": state(2), "epoch": 3, "optimizer": {"state": {}}},
    "mmcv": lambda: {"state_dict": state(1), "ema_state_dict": state(2)},
    "ConvNeXt": lambda: {"model": state(1), "model_ema": state(2)},
    "torchvision": lambda: {"model": state(1, "module."), "model_ema": averaged(2), "args": argparse.Namespace(lr=0.1)},
    "RT-DETR": lambda: {"model": state(1), "ema": {"module": state(2), "updates": 7}},
    "BasicSR": lambda: {"params": state(1), "params_ema": state(2)},
    "Lightning": lambda: {"state_dict": state(1, "model.") | state(2, "ema_model.")},
    "Lightning, SWA": lambda: {"state_dict": state(1, "net.") | state(2, "swa_net."), "loops": {}},
}


@pytest.mark.parametrize("script", AVERAGED)
def test_averaged_weights_are_taken_and_that_is_said(script: str, tmp_path: Path) -> None:
    found, (note,) = loaded(tmp_path, AVERAGED[script]())
    assert alike(found, state(2))
    assert "averaged weights, which training scripts evaluate" in note and "\n" not in note


PLAIN: dict[str, Callable[[], Any]] = {
    "alone": lambda: state(2),
    "one of many keys": lambda: {"state_dict": state(2), "epoch": 3, "best": np.float64(0.7), "scheduler": {"lr": [1]}},
    "only averaged": lambda: {"model_ema": averaged(2)},
    "a key of one's own": lambda: {"weights_of_mine": state(2), "step": 7},
    "Lightning": lambda: {"state_dict": state(2, "model."), "hyper_parameters": argparse.Namespace(act=nn.ReLU)},
    "Lightning, compiled": lambda: {"state_dict": state(2, "model._orig_mod.")},
    "Lightning, deeper": lambda: {"state_dict": state(2, "task.model.net.")},
    "DataParallel of compiled": lambda: {"model": state(2, "module._orig_mod.")},
    "compiled DataParallel": lambda: {"model": state(2, "_orig_mod.module.")},
    "FSDP": lambda: state(2, "_fsdp_wrapped_module.module."),
    "DataParallel of a part": lambda: {name.replace("0.", "0.module.", 1): x for name, x in state(2).items()},
    "compiled part": lambda: {name.replace("0.", "0._orig_mod.", 1): x for name, x in state(2).items()},
    "parameters": lambda: {name: nn.Parameter(x) if x.dim() else x for name, x in state(2).items()},
    "settings of a package": lambda: {"state_dict": state(2), "cfg": functools.partial(nn.Conv2d, 3), "p": Path("x")},
}


@pytest.mark.parametrize("script", PLAIN)
def test_the_only_weights_are_taken_without_a_word(script: str, tmp_path: Path) -> None:
    found, notes = loaded(tmp_path, PLAIN[script]())
    assert alike(found, state(2)) and notes == ()


def test_an_average_without_statistics_is_not_taken(tmp_path: Path) -> None:
    parameters = {name: x for name, x in state(1).items() if "running" not in name}
    found, (note,) = loaded(tmp_path, {"model": state(2), "ema": parameters})
    assert alike(found, state(2)) and "lack tensors of the network: model is taken" in note


def test_what_stands_beside_the_network_is_named(tmp_path: Path) -> None:
    found, (note,) = loaded(tmp_path, {"state_dict": state(2, "net.") | {"criterion.weight": torch.ones(4)}})
    assert alike(found, state(2)) and "what is not below 'net.' is left out (criterion.weight)" in note


@pytest.mark.parametrize("content", [
    {"generator": state(1), "discriminator": state(2)},
    {"state_dict": state(1, "student.") | state(2, "teacher.")},
])  # fmt: skip
def test_two_networks_of_one_rank_are_not_chosen_among(content: State, tmp_path: Path) -> None:
    error = refusal(tmp_path, content)
    assert "holds this network 2 times: " in error.message and "save one of them" in error.remedy


def test_a_prefix_that_the_network_has_itself_stays(tmp_path: Path) -> None:
    def wrapped(resolution: int = 8, classes: int = 4) -> nn.Module:
        return nn.ModuleDict({"model": build(resolution, classes)})

    spec = ModelSpec("wrapped", "Test", "", wrapped, (3, 8, 8), classes=4)
    assert alike(loaded(tmp_path, state(2, "model."), spec)[0], state(2, "model."))
    assert alike(loaded(tmp_path, state(2, "module.model."), spec)[0], state(2, "model."))


def test_another_networks_weights_are_told_by_their_own_names(tmp_path: Path) -> None:
    error = refusal(tmp_path, {"state_dict": {"module.conv.weight": torch.ones(3)}})
    assert "does not fit small_8: 7 missing" in error.message and "1 unexpected (conv.weight)" in error.message


@pytest.mark.parametrize("key", [None, "model", "ema", "state_dict"])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_a_whole_module_is_refused_with_its_class(key: str | None, zipped: bool, tmp_path: Path) -> None:
    torch.save(
        build() if key is None else {key: build(), "epoch": 1},
        tmp_path / "w.pt",
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(UsageError, match="would run code when opened: refused") as caught:
        weights.variant_of(str(tmp_path / "w.pt"), SPEC)
    assert "torch.save(model.state_dict(), ...)" in caught.value.remedy
    assert not zipped or "torch.nn.modules.container.Sequential" in caught.value.message


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [os.system, exec, eval, __import__, getattr, pickle.loads, torch.load, np.load])
@pytest.mark.parametrize("place", ["beside", "instead"])
def test_nothing_in_a_checkpoint_runs(function: Any, place: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    call = Runs(function, f"open({str(ran)!r}, 'w')")
    content = {"state_dict": state(2), "hook": call} if place == "beside" else call
    torch.save(content, tmp_path / "w.ckpt")
    try:
        weights.variant_of(str(tmp_path / "w.ckpt"), SPEC)
    except UsageError as error:
        assert "refused" in error.message
    else:  # a function of another package stays a name
        assert place == "beside" and function in (torch.load, np.load)
    assert not ran.exists()


def test_a_network_in_wrappers_takes_plain_names(tmp_path: Path) -> None:
    torch.save(state(2), tmp_path / "w.pth")
    module = nn.DataParallel(build()).eval()
    result = edgekit.export(module, input=(1, 3, 8, 8), weights=str(tmp_path / "w.pth"), format=["onnx"], out=tmp_path)
    assert not result.failed


def test_safetensors_of_a_trainer_lose_their_prefix() -> None:
    tensors, notes = chosen(Path("w.safetensors"), state(2, "model."), set(state(2)))
    assert alike(tensors, state(2)) and notes == ()


def test_an_archive_of_files_is_to_be_unpacked(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "w.pth.tar", "w") as archive:
        archive.add(__file__, "w.pth")
    with pytest.raises(UsageError, match="content is an archive of files"):
        weights.variant_of(str(tmp_path / "w.pth.tar"), SPEC)
