"""A Kotlin function that runs a file on an image, with its runtime's own Java interface."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.inspection.snippets_call import Call, kotlin_literal
from edgekit.records.manifest import Manifest

PROGRAM = """// Run {title} on one image.
// {build}
{imports}
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.*

const val HEIGHT = {height}
const val WIDTH = {width}
const val CHANNELS = {channels}
const val CROP = {crop} // {crop_words}
val MEAN = floatArrayOf({mean})
val STD = floatArrayOf({std})

/** Which input pixels make an output pixel along one side, and with what weights: a triangle that widens when the
 *  image shrinks, so that it antialiases. (Android's own scaling does not, and costs accuracy.) */
class Taps(val first: Int, val weights: DoubleArray)

fun taps(size: Int, start: Double, length: Double, count: Int): List<Taps> {{
    val scale = length / count
    val reach = max(scale, 1.0)
    return List(count) {{ i ->
        val center = start + (i + 0.5) * scale
        val first = max(0, (center - reach + 0.5).toInt())
        val last = min(size, (center + reach + 0.5).toInt())
        val weights = DoubleArray(last - first) {{ max(0.0, 1.0 - abs((first + it - center + 0.5) / reach)) }}
        val sum = weights.sum()
        Taps(first, DoubleArray(weights.size) {{ weights[it] / sum }})
    }}
}}

fun Taps.of(value: (Int) -> Int): Int {{
    var sum = 0.0
    for (k in weights.indices) sum += weights[k] * value(first + k)
    return floor(sum + 0.5).toInt().coerceIn(0, 255)
}}

/** A channel of the image's central part, resized to the network's input: one side after the other. */
fun resized(channel: IntArray, width: Int, height: Int): IntArray {{
    val wide = {wide}
    val high = {high}
    val across = taps(width, (width - wide) / 2, wide, WIDTH)
    val down = taps(height, (height - high) / 2, high, HEIGHT)
    val narrow = IntArray(WIDTH * height) {{ at -> across[at % WIDTH].of {{ x -> channel[at / WIDTH * width + x] }} }}
    return IntArray(WIDTH * HEIGHT) {{ at -> down[at / WIDTH].of {{ y -> narrow[y * WIDTH + at % WIDTH] }} }}
}}

/** The network's input, {order}, from pixels as Bitmap.getPixels() gives them: 0xAARRGGBB, row by row. */
fun input(pixels: IntArray, width: Int, height: Int): ByteBuffer {{
    val red = IntArray(pixels.size) {{ pixels[it] shr 16 and 0xff }}
    val green = IntArray(pixels.size) {{ pixels[it] shr 8 and 0xff }}
    val blue = IntArray(pixels.size) {{ pixels[it] and 0xff }}
    val colours = {planes}
    val planes = colours.map {{ resized(it, width, height) }}
    val buffer = ByteBuffer.allocateDirect({bytes} * HEIGHT * WIDTH * CHANNELS).order(ByteOrder.nativeOrder())
    fun put(at: Int, c: Int) {{
        val pixel = planes[c][at].toFloat()
        buffer.{put}({value})
    }}
    {loops}
    buffer.rewind()
    return buffer
}}

{run}
"""
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
    "L": "listOf(IntArray(pixels.size) {\n"
    "        (red[it] * 19595 + green[it] * 38470 + blue[it] * 7471 + 0x8000) shr 16\n    })",
}


def kotlin(manifest: Manifest, parts: Mapping[str, str]) -> str:
    """A function from pixels to the five best classes, best first, or to the one that the file answers with."""
    call = Call(manifest)
    (height, width, channels), how = call.size, call.how
    running = {
        "file": call.file,
        "what": ONE if call.gives_index else BEST,
        "returns": "Int" if call.gives_index else "List<Pair<Int, Float>>",
        "shape": ", ".join(map(str, call.shape)),
        "given": kotlin_literal(call.given.name),
        "getter": GETTERS.get(call.taken.dtype, ""),
        "view": VIEWS[call.taken.dtype],
        "answer": _answer(call, parts["indent"]),
    }
    return PROGRAM.format(
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
        run=parts["run"].format(**running),
    )


def _value(call: Call) -> str:
    tensor, normalised = call.given, "(pixel - MEAN[c]) / STD[c]"
    if call.takes_pixels:
        return f"(pixel.toInt(){' - 128' if tensor.dtype == 'int8' else ''}).toByte()"
    if tensor.scale is None:
        return normalised
    low, high = (0, 255) if tensor.dtype == "uint8" else (-128, 127)
    steps = f"round({normalised} / {tensor.scale!r}f).toInt() + {tensor.zero_point}"
    return f"({steps}).coerceIn({low}, {high}).toByte()"


def _answer(call: Call, indent: str) -> str:
    offset, tensor = call.how.class_offset, call.taken
    background = " // index 0 is the background" if offset else ""
    if call.gives_index:
        minus = f" - {offset}" if offset else ""
        lines = [f"return y.get(0).toInt(){minus}{background}"]
    else:
        stored = {"uint8": "(y.get(it).toInt() and 0xff)", "int8": "y.get(it).toInt()"}.get(tensor.dtype, "y.get(it)")
        score = stored if tensor.scale is None else f"({stored} - {tensor.zero_point}) * {tensor.scale!r}f"
        start = f"{offset} until y.limit()"
        index = f"it - {offset}" if offset else "it"
        lines = [
            f"val scores = ({start}).map {{ Pair({index}, {score}) }}{background}",
            "return scores.sortedByDescending { it.second }.take(5)",
        ]
    return "\n".join(indent + line for line in lines)
