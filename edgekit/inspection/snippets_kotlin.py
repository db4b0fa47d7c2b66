"""A Kotlin class that runs a file on images, with its runtime's own Java interface."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.inspection.snippets_call import Array, Call, kotlin_literal, template

NAMES = "\n\n/** The classes' names by index. */\nval NAMES = arrayOf(\n    {names},\n)"
READ_NAMES = """

/** The classes' names by index. An Android app has the file in src/main/assets: `names(assets.open({name}))`. */
fun names(stream: java.io.InputStream): List<String> =
    stream.bufferedReader().useLines {{ it.drop({offset}).toList() }}"""
BEST = "The five best classes with their scores, best first"
ONE = "The best class"
BYTES = {"float32": 4, "int8": 1, "uint8": 1}
VIEWS = {"float32": ".asFloatBuffer()", "int8": "", "uint8": "", "int32": ".asIntBuffer()", "int64": ".asLongBuffer()"}
GETTERS = {"float32": "floatBuffer", "int64": "longBuffer"}
CHANNELS_FIRST = "for (c in 0 until CHANNELS) for (at in 0 until HEIGHT * WIDTH) put(at, c)"
CHANNELS_LAST = "for (at in 0 until HEIGHT * WIDTH) for (c in 0 until CHANNELS) put(at, c)"
PLANES = {
    "RGB": "listOf(red, green, blue)",
    "BGR": "listOf(blue, green, red)",
    "RGBA": "listOf(red, green, blue, IntArray(pixels.size) { pixels[it] ushr 24 })",
    "L": "listOf(IntArray(pixels.size) {\n"
    "        (red[it] * 19595 + green[it] * 38470 + blue[it] * 7471 + 0x8000) shr 16\n    })",
}


def kotlin(call: Call, parts: Mapping[str, str]) -> str:
    """Return a class that makes of pixels the five best classes, best first, or the one that the file answers with."""
    (height, width, channels), how = call.size, call.how
    names = call.names(kotlin_literal)
    kind = "String" if call.manifest.labels else "Int"
    running = {
        "file": call.file,
        "asset": kotlin_literal(call.name),
        "more": ", private val names: List<String>" if call.names_place else "",
        "what": ONE if call.gives_index else BEST,
        "returns": kind if call.gives_index else f"List<Pair<{kind}, Float>>",
        "shape": ", ".join(map(str, call.shape)),
        "given": kotlin_literal(call.given.name),
        "getter": GETTERS.get(call.taken.dtype, ""),
        "view": VIEWS[call.taken.dtype],
        "answer": _answer(call, parts["indent"]),
    }
    return template("program.kt").substitute(
        title=call.title,
        build=parts["build"],
        imports=parts["imports"],
        height=height,
        width=width,
        channels=channels,
        crop=repr(float(how.crop_fraction)),
        crop_words="of the shorter side, as a square" if how.square_crop else "of each side",
        mean=", ".join(f"{float(value)!r}f" for value in how.mean),
        std=", ".join(f"{float(value)!r}f" for value in how.std),
        wide="min(width, height) * CROP" if how.square_crop else "width * CROP",
        high="min(width, height) * CROP" if how.square_crop else "height * CROP",
        order="channels first" if call.channels_first else "channels last",
        planes=PLANES[how.channels],
        bytes=BYTES[call.given.dtype],
        put="putFloat" if call.given.dtype == "float32" else "put",
        value=_value(call),
        loops=CHANNELS_FIRST if call.channels_first else CHANNELS_LAST,
        names=NAMES.format(names=names) if names else _read_names(call),
        run=parts["run"].format(**running),
    )


def _read_names(call: Call) -> str:
    """The function that reads the names, where a program does."""
    if call.names_place is None:
        return ""
    return READ_NAMES.format(name=kotlin_literal(call.names_place.name), offset=call.how.class_offset)


def _value(call: Call) -> str:
    tensor, normalized = call.given, "(pixel - MEAN[c]) / STD[c]"
    if call.takes_pixels:
        return f"(pixel.toInt(){' - 128' if tensor.dtype == 'int8' else ''}).toByte()"
    if tensor.scale is None:
        return normalized
    low, high = Array(tensor).limits
    steps = f"round({normalized} / {tensor.scale!r}f).toInt() + {tensor.zero_point}"
    return f"({steps}).coerceIn({low}, {high}).toByte()"


def _answer(call: Call, indent: str) -> str:
    offset, tensor = call.how.class_offset, call.taken
    background = " // index 0 is the background" if offset else ""
    names = "names" if call.names_place else "NAMES"
    if call.gives_index:
        minus = f" - {offset}" if offset else ""
        index = f"y.get(0).toInt(){minus}"
        name = f'{names}.getOrElse({index}) {{ "background" }}' if offset else f"{names}[{index}]"
        lines = [f"return {name if call.manifest.labels else index}{background}"]
    else:
        stored = {"uint8": "(y.get(it).toInt() and 0xff)", "int8": "y.get(it).toInt()"}.get(tensor.dtype, "y.get(it)")
        score = stored if tensor.scale is None else f"({stored} - {tensor.zero_point}) * {tensor.scale!r}f"
        start = f"{offset} until y.limit()"
        index = f"it - {offset}" if offset else "it"
        index = f"{names}[{index}]" if call.manifest.labels else index
        lines = [
            f"val scores = ({start}).map {{ Pair({index}, {score}) }}{background}",
            "return scores.sortedByDescending { it.second }.take(5)",
        ]
    return "\n".join(indent + line for line in lines)
