"""A C++17 program that runs a file on arrays, for one that takes no image or answers with more than scores."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.inspection.snippets_call import Array, Call, cpp_literal, template
from edgekit.inspection.snippets_cpp import TYPES, model

INPUT = """  // {about}
  const std::vector<float> given{i} = Read(argv[{place}], {count});
  std::vector<{type}> x{i}({count});
  for (size_t i = 0; i < x{i}.size(); ++i) x{i}[{at}] = {value};"""
OUTPUT = """  // {about}
  std::vector<double> answer{i}({count});
  for (size_t i = 0; i < answer{i}.size(); ++i) answer{i}[i] = {value};
  Print({name}, answer{i});"""


def arrays_cpp(call: Call, parts: Mapping[str, str]) -> str:
    """Return a program that prints the first numbers of every output: `program 0.npy 1.npy`.

    Each file has the array of one input in float32, with the axes and values that the network takes.
    """
    manifest = call.manifest
    given, taken = ([Array(one) for one in side] for side in (manifest.inputs, manifest.outputs))
    running = {
        "inputs": ", ".join(cpp_literal(one.name) for one in manifest.inputs),
        "outputs": ", ".join(cpp_literal(one.name) for one in manifest.outputs),
        "given": _each(parts["given"], given),
        "taken": _each(parts["taken"], taken),
    }
    return template("arrays.cpp").substitute(
        title=call.title,
        build=parts["build"],
        headers=parts["headers"],
        model=model(call),
        arguments=len(given) + 1,
        usage=" ".join(f"{i}.npy" for i in range(len(given))),
        inputs="\n".join(_input(i, one) for i, one in enumerate(given)),
        run=parts["arrays"].format(**running).strip("\n"),
        outputs="\n".join(_output(i, one) for i, one in enumerate(taken)),
    )


def _each(line: str, arrays: list[Array]) -> str:
    """A line of the runtime's for each array."""
    return "\n".join(
        line.format(i=i, type=TYPES[one.tensor.dtype], shape=", ".join(map(str, one.stored)))
        for i, one in enumerate(arrays)
    )


def _at(array: Array) -> str:
    channels, places = array.places if array.channels_last else (0, 0)
    return f"ChannelsLast(i, {channels}, {places})" if array.channels_last else "i"


def _input(i: int, array: Array) -> str:
    tensor, kind = array.tensor, TYPES[array.tensor.dtype]
    number = f"given{i}[i]"
    if tensor.scale is not None:
        low, high = array.limits
        steps = f"std::nearbyint({number} / {tensor.scale!r}f) + {tensor.zero_point}"
        number = f"std::clamp<float>({steps}, {low}, {high})"
    value = number if kind == "float" else f"static_cast<{kind}>({number})"
    return INPUT.format(about=array.about, i=i, place=i + 1, count=array.count, type=kind, at=_at(array), value=value)


def _output(i: int, array: Array) -> str:
    tensor, number = array.tensor, f"out{i}[{_at(array)}]"
    if tensor.scale is not None:
        number = f"({number} - {tensor.zero_point}) * {tensor.scale!r}f"
    value = number if tensor.dtype in ("float32", "bool") else f"static_cast<double>({number})"
    return OUTPUT.format(about=array.about, i=i, count=array.count, value=value, name=cpp_literal(tensor.name))
