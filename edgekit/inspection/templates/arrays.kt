// Run ${title} on arrays.
// ${build}
${imports}
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.*

/** Where the number at `i`, channels first, lies in an array with channels last. */
fun channelsLast(i: Int, channels: Int, places: Int): Int =
    (i / (channels * places) * places + i % places) * channels + i / places % channels

/** Room for an input or an output. */
fun direct(bytes: Int): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

${inputs}

${run}
