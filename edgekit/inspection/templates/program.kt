// Run ${title} on one image.
// ${build}
${imports}
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.*

const val HEIGHT = ${height}
const val WIDTH = ${width}
const val CHANNELS = ${channels}
const val CROP = ${crop} // ${crop_words}
val MEAN = floatArrayOf(${mean})
val STD = floatArrayOf(${std})${names}

/** Which input pixels make an output pixel along one side, and with what weights: a triangle that widens when the
 *  image shrinks, so that it antialiases. (Android's own scaling does not, and costs accuracy.) */
class Taps(val first: Int, val weights: DoubleArray)

fun taps(size: Int, start: Double, length: Double, count: Int): List<Taps> {
    val scale = length / count
    val reach = max(scale, 1.0)
    return List(count) { i ->
        val center = start + (i + 0.5) * scale
        val first = max(0, (center - reach + 0.5).toInt())
        val last = min(size, (center + reach + 0.5).toInt())
        val weights = DoubleArray(last - first) { max(0.0, 1.0 - abs((first + it - center + 0.5) / reach)) }
        val sum = weights.sum()
        Taps(first, DoubleArray(weights.size) { weights[it] / sum })
    }
}

fun Taps.of(value: (Int) -> Int): Int {
    var sum = 0.0
    for (k in weights.indices) sum += weights[k] * value(first + k)
    return floor(sum + 0.5).toInt().coerceIn(0, 255)
}

/** A channel of the image's central part, resized to the network's input: one side after the other. */
fun resized(channel: IntArray, width: Int, height: Int): IntArray {
    val wide = ${wide}
    val high = ${high}
    val across = taps(width, (width - wide) / 2, wide, WIDTH)
    val down = taps(height, (height - high) / 2, high, HEIGHT)
    val narrow = IntArray(WIDTH * height) { at -> across[at % WIDTH].of { x -> channel[at / WIDTH * width + x] } }
    return IntArray(WIDTH * HEIGHT) { at -> down[at / WIDTH].of { y -> narrow[y * WIDTH + at % WIDTH] } }
}

/** The network's input, ${order}, from pixels as Bitmap.getPixels() gives them: 0xAARRGGBB, row by row. */
fun input(pixels: IntArray, width: Int, height: Int): ByteBuffer {
    val red = IntArray(pixels.size) { pixels[it] shr 16 and 0xff }
    val green = IntArray(pixels.size) { pixels[it] shr 8 and 0xff }
    val blue = IntArray(pixels.size) { pixels[it] and 0xff }
    val colors = ${planes}
    val planes = colors.map { resized(it, width, height) }
    val buffer = ByteBuffer.allocateDirect(${bytes} * HEIGHT * WIDTH * CHANNELS).order(ByteOrder.nativeOrder())
    fun put(at: Int, c: Int) {
        val pixel = planes[c][at].toFloat()
        buffer.${put}(${value})
    }
    ${loops}
    buffer.rewind()
    return buffer
}

${run}
