"""Which network the user means: one of the zoo, or their own.

Their own is an nn.Module, or what a text names: `FILE.py:function` and `PACKAGE.MODULE:function` build one,
`FILE.pt2` is an archive of torch.export, and `FILE.onnx`, `FILE.tflite` or `FILE.keras` a file of any program.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from edgekit.errors import BackendMissing, UsageError, first_line, nearest
from edgekit.frontend.tracer import unwrapped
from edgekit.network import program
from edgekit.network.inputs import EXAMPLE, Input, Plain, Shape, check_names, names_of, plain, shapes_of
from edgekit.network.names import CHECKPOINTS, SOURCES, called, is_own_name, is_source
from edgekit.network.spec import MODELS, ModelSpec
from edgekit.network.structured_inputs import taking_tensors
from edgekit.network.users_code import users_code
from edgekit.records.artifact import content_of
from edgekit.records.formats import load
from edgekit.records.manifest import SourceRecord
from edgekit.util.formatting import shape_text

if TYPE_CHECKING:
    from edgekit.importers.source import Source

USER_FAMILY = "user"


def is_own(model: str | nn.Module) -> bool:
    """Whether it is a network of the user's: a module, a function that builds one, or a file of a network.

    Raises UsageError for what names no network.
    """
    if not isinstance(model, str | nn.Module):
        raise UsageError(
            f"a network is a name, a file or a module, and this is of type {type(model).__name__}",
            "give one network, and a file as str",
        )
    return isinstance(model, nn.Module) or is_own_name(model)


def find(model: str | nn.Module, input: Input) -> ModelSpec:
    """Return the spec of a registered network, or one made for the user's own.

    `input` (edgekit.network.inputs) is needed for the latter and refused for the former; a file of a network has
    its own, of which only sizes that a FILE.onnx, FILE.tflite or FILE.keras leaves open need to be given.
    Raises UsageError.
    """
    given = plain(input)
    if isinstance(model, nn.Module):
        kind = type(unwrapped(model))
        name = re.sub(r"\W+", "_", kind.__name__).lower()
        return _own(name, f"{kind.__module__}.{kind.__qualname__}", _as_given(model), given)
    if model.endswith(".pt2"):
        return _archived(Path(model), given)
    if is_source(model):
        return _read_from(Path(model), given)
    if is_own(model):
        return _built_by(model, given)
    if model.lower().endswith(tuple(CHECKPOINTS)):
        raise UsageError(
            f"{model} is a checkpoint, which holds weights and no network",
            f"write FILE.py:function with --weights {model}",
        )
    importlib.import_module("edgekit.models")  # registers the zoo
    spec = MODELS[model]
    if given is not None:
        _refuse_input(spec, shapes_of(given)[0])
    return spec


def refuse_point(alpha: float | None, res: int | None, classes: int | None) -> None:
    """Raises UsageError for what a user's own network does not take."""
    given = {"--alpha": alpha, "--res": res, "--classes": classes}
    named = " and ".join(option for option, value in given.items() if value is not None)
    if named:
        raise UsageError(
            f"{named}: only networks of the zoo take that", "set it where the network is built; sizes with --input"
        )


def _refuse_input(spec: ModelSpec, given: tuple[int, ...]) -> NoReturn:
    own = (1, *spec.input_shape)
    if len(given) != len(own):
        kinds = {4: "images", 5: "volumes, such as video"}
        shapes = [shape_text(shape) for shape in (own, given)]
        raise UsageError(
            f"{spec.name} takes {kinds[len(own)]} ({shapes[0]}), not {kinds.get(len(given), 'that')} ({shapes[1]})",
            "leave --input out" + ("; c3d takes volumes" if len(given) == 5 else ""),
        )
    raise UsageError(
        f"--input is for networks from a file; {spec.name} knows its own",
        "leave it out" if spec.fixed_resolution else "use --res",
    )


def _built_by(model: str, input: Plain) -> ModelSpec:
    """A network that a function of a file or of an installed package builds."""
    place, _, function = model.rpartition(":")
    if not place or not function:
        raise UsageError(f"{model} does not name a function", f"write {model.removesuffix(':')}:build")
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise _no_file(path, "give a Python file and a function in it, as in mynet.py:build")
        told, imported = f"{path.name}:{function}", partial(_file, path)
    else:
        told, imported = model, partial(_package, place)
    return _own(called(model), told, _builder(_callable(imported(), place, function), model), input)


def _own(name: str, told: str, build: Callable[..., nn.Module], input: Plain) -> ModelSpec:
    """The spec of a user's network for the shapes of its inputs."""
    if input is None:
        raise UsageError(f"{told} needs an input shape", EXAMPLE)
    first, *others = shapes_of(input)

    def named(**chosen: Any) -> nn.Module:
        network, names = build(**chosen), names_of(input)
        check_names(unwrapped(network), names)
        return taking_tensors(unwrapped(network), names) if names else network

    return ModelSpec(
        name=name,
        family=USER_FAMILY,
        paper=told,
        build=named,
        input_shape=first[1:],
        more_inputs=tuple(others),
        classes=0,  # known when it has been built
        fixed_resolution=True,
        preprocessing=_preprocessing(first[1] if len(first) > 1 else 1),
    )


def _as_given(module: nn.Module) -> Callable[..., nn.Module]:
    """Build a module by giving it, in eval mode as every network is read; the user's own keeps its mode."""

    def built(**chosen: Any) -> nn.Module:
        _refuse_unshaped(module)
        learns = any(one.training for one in module.modules())
        return _in_eval_mode(module) if learns and not isinstance(module, torch.jit.ScriptModule) else module

    return built


def _in_eval_mode(module: nn.Module) -> nn.Module:
    """A copy that shares the module's tensors, so that it costs no memory for weights."""
    held = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    try:
        return copy.deepcopy(module, held).eval()
    except Exception as error:  # tensors that were computed, and whatever a user's own __deepcopy__ raises
        raise UsageError(
            f"{type(module).__name__} is in training mode, and cannot be copied: {first_line(error)}",
            "call .eval() on it first",
        ) from error


def _no_file(path: Path, remedy: str) -> UsageError:
    return UsageError(f"{path} {'is no file' if path.exists() else 'does not exist'}", remedy)


def _archived(path: Path, input: Plain) -> ModelSpec:
    """A network that torch.export wrote, which is for one input shape but for the sizes that were left free."""
    if not path.is_file():
        raise _no_file(path, "give a file that torch.export.save wrote")
    found = program.read(path)
    shapes = program.shapes(path, found.program, shapes_of(input) if input is not None else None)
    given = _with_names_of(input, shapes)
    spec = _own(called(str(path)), path.name, lambda **chosen: program.module(found.program), given)
    producer = f"torch {found.release}".strip()
    record = SourceRecord(file=path.name, format="pt2", sha256=content_of(path).sha256, producer=producer)
    return replace(spec, file=record)


def _read_from(path: Path, input: Plain) -> ModelSpec:
    """A network that stands in a file of another program."""
    if not path.is_file():
        raise _no_file(path, "give a file's path")
    source = _opened(path, None if input is None else _with_names_of(input, shapes_of(input)))
    name = called(str(path))
    spec = _own(name, path.name, lambda **chosen: source.build(), list(source.shapes.values()))
    how = spec.preprocessing
    if next(iter(source.shapes)) in source.whole:  # pixels as they are: the network has its own scale
        how = how.model_copy(update={"mean": (0.0,) * len(how.mean), "std": (1.0,) * len(how.std)})
    return replace(spec, source=source, file=source.record, preprocessing=source.preprocessing or how)


def _with_names_of(input: Plain, shapes: Sequence[Shape]) -> Plain:
    """The shapes with the names that came with the input, where it has names."""
    return dict(zip(input, shapes, strict=True)) if isinstance(input, Mapping) else shapes


def _opened(path: Path, given: Plain) -> Source:
    try:
        found: Source = load(SOURCES[path.suffix])(path, given)
    except ImportError as error:
        raise BackendMissing(
            f"reading {path.suffix} files needs the package {error.name}", "pip install 'edgekit[export]'"
        ) from error
    return found


def _preprocessing(channels: int) -> Any:
    from edgekit.records.preprocessing import TORCHVISION, TORCHVISION_GRAY

    return TORCHVISION if channels == 3 else TORCHVISION_GRAY


def _file(path: Path) -> ModuleType:
    name = f"_edgekit_user_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    with _imported(str(path), str(path.parent.resolve())):
        found.loader.exec_module(module)
    return module


def _package(name: str) -> ModuleType:
    with _imported(name, str(Path.cwd())):
        return importlib.import_module(name)


@contextmanager
def _imported(what: str, beside: str) -> Iterator[None]:
    """Import what the user wrote, with their folder on the path. Raises UsageError for whatever it raises."""
    sys.path.insert(0, beside)
    try:
        with users_code(f"{what} cannot be imported", "check that `python` runs it"):
            yield
    finally:
        sys.path.remove(beside)


def _callable(module: ModuleType, place: str, function: str) -> Callable[[], Any]:
    build = getattr(module, function, None)
    if not callable(build):
        known = ", ".join(name for name, value in vars(module).items() if callable(value) and name[0] != "_")
        raise UsageError(
            f"{place} has no function '{function}'{nearest(function, vars(module))}",
            f"it has: {known or 'none'}"[:200],
        )
    return build  # type: ignore[no-any-return]


def _builder(build: Callable[[], Any], model: str) -> Callable[..., nn.Module]:
    def built(**chosen: Any) -> nn.Module:
        with users_code(f"{model} fails", "call it in Python to see where", build):
            network = build()
        if not isinstance(network, nn.Module):
            if isinstance(network, type):
                raise UsageError(f"{model} returns the class {network.__name__}", f"return {network.__name__}()")
            raise UsageError(f"{model} returns {type(network).__name__}", "return a torch.nn.Module")
        _refuse_unshaped(network)
        return network

    return built


def _refuse_unshaped(network: nn.Module) -> None:
    """Raise UsageError for weights that get their shapes with the first input."""
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if is_lazy(tensor):
            raise UsageError(
                f"{name} has no shape yet, as in nn.LazyConv2d before its first call",
                "call the network once on an input of its shape before it is given",
            )
