"""A Kotlin class that runs a file on arrays, for one that takes no image or answers with more than scores."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.inspection.snippets_call import Array, Call, kotlin_literal, template

INPUT = """/** The bytes of {about}. */
fun input{i}(given: FloatArray): ByteBuffer {{
    require(given.size == {count}) {{ "{count} numbers are wanted, not ${{given.size}}" }}
    val buffer = direct({bytes})
    for (i in given.indices) buffer.{put}
    return buffer
}}"""
# How a number of each type is taken out of a buffer of bytes, as Float.
GETS = {
    "float32": "{y}.getFloat(4 * {at})",
    "int32": "{y}.getInt(4 * {at}).toFloat()",
    "int64": "{y}.getLong(8 * {at}).toFloat()",
    "int8": "{y}.get({at}).toFloat()",
    "uint8": "({y}.get({at}).toInt() and 0xff).toFloat()",
    "bool": "{y}.get({at}).toFloat()",
}
BYTES = {"float32": 4, "int32": 4, "int64": 8}


def arrays_kotlin(call: Call, parts: Mapping[str, str]) -> str:
    """Return a class that turns arrays for the inputs, with the network's axes, into one for each output."""
    manifest = call.manifest
    given, taken = ([Array(one) for one in side] for side in (manifest.inputs, manifest.outputs))
    told = [f" *  x{i} is {one.about}." for i, one in enumerate(given)]
    running = {
        "file": call.file,
        "asset": kotlin_literal(call.name),
        "about": "\n".join([*told, *(f" *  Answer {i} is {one.about}." for i, one in enumerate(taken))]),
        "parameters": ", ".join(f"x{i}: FloatArray" for i in range(len(given))),
        "given": "".join(_each("given", given, parts)),
        "inputs": ", ".join(_each("input", given, parts)),
        "taken": "".join(_each("taken", taken, parts)),
        "outputs": ", ".join(_each("output", taken, parts)),
        "answers": ",\n".join(f"{parts['indent']}    {_answer(i, one)}" for i, one in enumerate(taken)),
    }
    return template("arrays.kt").substitute(
        title=call.title,
        build=parts["build"],
        imports=parts["imports"],
        inputs="\n\n".join(_input(i, one) for i, one in enumerate(given)),
        run=parts["arrays"].format(**running).strip("\n"),
    )


def _each(part: str, arrays: list[Array], parts: Mapping[str, str]) -> list[str]:
    """What the runtime's part says of each array."""
    return [
        parts[part].format(
            i=i,
            name=kotlin_literal(one.tensor.name),
            shape=", ".join(map(str, one.stored)),
            bytes=one.count * BYTES.get(one.tensor.dtype, 1),
            view=".asFloatBuffer()" if one.tensor.dtype == "float32" else "",
            kind="" if one.tensor.dtype == "float32" else f", OnnxJavaType.{one.tensor.dtype.upper()}",
        )
        for i, one in enumerate(arrays)
    ]


def _at(array: Array) -> str:
    channels, places = array.places if array.channels_last else (0, 0)
    return f"channelsLast(i, {channels}, {places})" if array.channels_last else "i"


def _input(i: int, array: Array) -> str:
    tensor, at = array.tensor, _at(array)
    put = f"putFloat(4 * {at}, given[i])" if tensor.dtype == "float32" else f"put({at}, given[i].toInt().toByte())"
    if tensor.scale is not None:
        low, high = array.limits
        steps = f"round(given[i] / {tensor.scale!r}f).toInt() + {tensor.zero_point}"
        put = f"put({at}, ({steps}).coerceIn({low}, {high}).toByte())"
    size = array.count * BYTES.get(tensor.dtype, 1)
    return INPUT.format(about=array.about, i=i, count=array.count, bytes=size, put=put)


def _answer(i: int, array: Array) -> str:
    tensor = array.tensor
    number = GETS[tensor.dtype].format(y=f"y{i}", at=_at(array))
    if tensor.scale is not None:
        number = f"({number} - {tensor.zero_point}) * {tensor.scale!r}f"
    return f"FloatArray({array.count}) {{ i -> {number} }}"
