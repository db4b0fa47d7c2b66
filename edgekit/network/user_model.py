"""Which network the user means: one of the zoo, or `FILE.py:function` that builds one of their own."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from torch import nn

from edgekit.errors import NO_EXIT, UsageError, first_line
from edgekit.network.spec import MODELS, ModelSpec

USER_FAMILY = "user"
RANKS = (3, 4, 5)  # of an input, with its batch
EXAMPLE = "write, say, --input 1,3,224,224"


def is_file(model: str) -> bool:
    """Whether the name is of the form FILE.py:function."""
    return ".py" in model and ":" in model or model.endswith(".py")


def find(model: str, input_shape: tuple[int, ...] | None) -> ModelSpec:
    """The spec of a registered network, or one made for the user's own function.

    `input_shape` (N, C, *spatial) is needed for the latter and refused for the former. Raises UsageError.
    """
    if is_file(model):
        return _from_file(model, input_shape)
    importlib.import_module("edgekit.models")  # registers the zoo
    spec = MODELS[model]
    if input_shape is not None:
        _refuse_input(spec, input_shape)
    return spec


def refuse_point(alpha: float | None, res: int | None, classes: int | None) -> None:
    """Raises UsageError for what a user's own network does not take."""
    given = {"--alpha": alpha, "--res": res, "--classes": classes}
    named = " and ".join(option for option, value in given.items() if value is not None)
    if named:
        raise UsageError(f"{named}: only networks of the zoo take that", "set it in your build function")


def _refuse_input(spec: ModelSpec, given: tuple[int, ...]) -> NoReturn:
    own = (1, *spec.input_shape)
    if len(given) != len(own):
        kinds = {4: "images", 5: "volumes, such as video"}
        shapes = ["x".join(map(str, shape)) for shape in (own, given)]
        raise UsageError(
            f"{spec.name} takes {kinds[len(own)]} ({shapes[0]}), not {kinds.get(len(given), 'that')} ({shapes[1]})",
            "leave --input out" + ("; c3d takes volumes" if len(given) == 5 else ""),
        )
    raise UsageError(
        f"--input is for networks from a file; {spec.name} knows its own",
        "leave it out" if spec.fixed_resolution else "use --res",
    )


def _from_file(model: str, input_shape: tuple[int, ...] | None) -> ModelSpec:
    name, _, function = model.rpartition(":")
    path = Path(name if name else model)
    if not name or not function:
        raise UsageError(f"{model} does not name a function", f"write {model.removesuffix(':')}:build")
    if not path.is_file():
        raise UsageError(f"{path} does not exist", "give a Python file and a function in it, as in mynet.py:build")
    if input_shape is None:
        raise UsageError(f"{model} needs an input shape", EXAMPLE)
    _check_input(input_shape)
    build = _function(path, function)
    channels = input_shape[1]
    return ModelSpec(
        name=re.sub(r"\W+", "_", path.stem),
        family=USER_FAMILY,
        paper=f"{path.name}:{function}",
        build=_builder(build, model),
        input_shape=input_shape[1:],
        classes=0,  # known when it has been built
        fixed_resolution=True,
        preprocessing=_preprocessing(channels),
    )


def _check_input(shape: tuple[int, ...]) -> None:
    told = "x".join(map(str, shape))
    if len(shape) not in RANKS or min(shape) < 1:
        raise UsageError(f"an input has a batch, channels and 1 to 3 sizes, all above 0, not {told}", EXAMPLE)
    if shape[0] != 1:
        raise UsageError(
            f"a file is made for a batch of 1, not {shape[0]}",
            f"write --input {','.join(map(str, (1, *shape[1:])))}; export --dynamic-batch leaves the batch open",
        )


def _preprocessing(channels: int) -> Any:
    from edgekit.records.preprocessing import TORCHVISION, Preprocessing

    if channels == 3:
        return TORCHVISION
    return Preprocessing(channels="L", mean=(127.5,), std=(127.5,))


def _function(path: Path, function: str) -> Callable[[], Any]:
    name = f"_edgekit_user_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        found.loader.exec_module(module)
    except SystemExit as error:
        raise UsageError(f"{path} cannot be imported: {first_line(error)}", NO_EXIT) from error
    except Exception as error:  # the user's code: whatever it raises is about their file
        raise UsageError(f"{path} cannot be imported: {_first_line(error)}", "check that `python` runs it") from error
    finally:
        sys.path.pop(0)
    build = getattr(module, function, None)
    if not callable(build):
        known = ", ".join(name for name, value in vars(module).items() if callable(value) and name[0] != "_")
        raise UsageError(f"{path} has no function '{function}'", f"it has: {known or 'none'}")
    return build  # type: ignore[no-any-return]


def _builder(build: Callable[[], Any], model: str) -> Callable[..., nn.Module]:
    def built(**chosen: Any) -> nn.Module:
        try:
            network = build()
        except SystemExit as error:
            raise UsageError(f"{model} fails: {first_line(error)}", NO_EXIT) from error
        except Exception as error:
            raise UsageError(f"{model} fails: {_first_line(error)}", "it is called without arguments") from error
        if not isinstance(network, nn.Module):
            raise UsageError(f"{model} returns {type(network).__name__}", "return a torch.nn.Module")
        return network

    return built


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
