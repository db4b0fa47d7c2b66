"""What every comparison with the other environment needs: the worker there, and one network at a time."""

from __future__ import annotations

import copy
import importlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgekit.checkpoints.random import fill
from edgekit.data import calibration
from edgekit.data.calibration import CalibrationSet
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import table
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.spec import MODELS, Variant, variant
from tests.oracle.client import OLD_PYTHON, PYTHON, Array, Oracle

importlib.import_module("edgekit.models")
SMALL = 65  # pixels; odd, so that paddings differ from side to side
SIZES = {"efficientnet_b0": 224}  # on a smaller map its random weights turn float32's rounding into 5 % of its answer
FLOAT = 1e-5  # what float32 may lose, of the largest output
AMPLIFIED = 2.0  # where another float32 computation loses more than that, how much more than it
GMACS = 8  # how much computing a network's calibration may cost


@dataclass(frozen=True)
class Case:
    """A network with random weights, what it answers, and a folder for the files that are made of it."""

    point: Variant
    graph: Graph  # folded
    noise: CalibrationSet
    inputs: Array  # (2 to 8, *input shape), never calibrated with
    outputs: Array  # of the unfolded network, in float32
    exact: NDArray[np.float64]  # the same in float64
    folder: Path

    @property
    def described(self) -> dict[str, Any]:
        """What the worker needs to build the same network."""
        alpha = self.point.alpha if self.point.spec.alphas else None
        return {
            "network": self.point.spec.name,
            "alpha": alpha,
            "resolution": self.point.resolution,
            "shape": self.point.input_shape,
            "state": self.folder / "state.pt",
        }

    def error(self, got: Array) -> float:
        """The largest error over the largest value, against float64."""
        return float(np.abs(got - self.exact).max() / np.abs(self.exact).max())

    def limit(self, *others: Array) -> float:
        """What our file's error may be: deep random weights amplify every rounding, torch's and others' as well."""
        return max(FLOAT, AMPLIFIED * max(self.error(other) for other in (self.outputs, *others)))


def small(name: str) -> Variant:
    """The network at a small size, where its size is free."""
    spec = MODELS[name]
    free = not spec.fixed_resolution and spec.resolution > SMALL
    alpha = spec.alphas[-1] if spec.alphas else None
    return variant(name, alpha, SIZES.get(name, max(SMALL, spec.min_resolution)) if free else None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes, what is asked of one network is asked in one of them."""
    for item in items:
        network = item.callspec.params.get("case") if hasattr(item, "callspec") else None
        if network:
            item.add_marker(pytest.mark.xdist_group(network))


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """The worker of the other environment."""
    if not PYTHON.exists():
        pytest.skip("the other converters are not there: `make oracle` installs them")
    with Oracle(tmp_path_factory.mktemp("oracle") / "log") as worker:
        yield worker


@pytest.fixture(scope="session")
def old_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """The worker with the oldest runtime that is tested."""
    if not OLD_PYTHON.exists():
        pytest.skip("tflite-runtime is not there: `make oracle` installs it where Python is 3.11 or older")
    with Oracle(tmp_path_factory.mktemp("old") / "log", OLD_PYTHON, "tests.oracle.old_runtime") as worker:
        yield worker


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept by content must not outlive the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", params=list(MODELS))
def case(request: pytest.FixtureRequest, oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Every network of the zoo in turn; its files go when the next one comes."""
    point = small(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    network = point.build()
    fill(network, point.input_shape)
    torch.save(network.state_dict(), folder / "state.pt")
    traced = trace(network, point.input_shape)
    wanted = int(np.clip(GMACS * 1e9 / table(traced).macs, 2, 16))
    shown = min(wanted, 8)
    inputs = next(calibration.synthetic(point.input_shape, point.spec.preprocessing, shown, seed=1).batches(shown))
    with torch.no_grad():
        outputs = network(torch.from_numpy(inputs)).numpy()
        exact = copy.deepcopy(network).double()(torch.from_numpy(inputs).double()).numpy()
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01 * np.abs(outputs).max()  # it sees its input
    noise = calibration.synthetic(point.input_shape, point.spec.preprocessing, wanted)
    found = Case(point, fold(traced).graph, noise, inputs, outputs, exact, folder)
    assert found.error(outputs) < 1e-3  # or random weights are no test
    yield found
    shutil.rmtree(folder)
