package ai.onnxruntime

import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import java.nio.LongBuffer

class OnnxTensor(private val index: Int = 0) : Closeable {
    private fun output(): ByteBuffer =
        ByteBuffer.wrap(File("output$index.bin").readBytes()).order(ByteOrder.nativeOrder())

    val floatBuffer: FloatBuffer get() = output().asFloatBuffer()
    val longBuffer: LongBuffer get() = output().asLongBuffer()
    val byteBuffer: ByteBuffer get() = output()

    override fun close() = Unit

    companion object {
        private var made = 0  // a program makes its inputs in their order

        @JvmStatic
        fun createTensor(environment: OrtEnvironment, data: FloatBuffer, shape: LongArray): OnnxTensor {
            check(shape.fold(1L) { all, one -> all * one } == data.remaining().toLong())
            val bytes = ByteBuffer.allocate(4 * data.remaining()).order(ByteOrder.nativeOrder())
            bytes.asFloatBuffer().put(data.duplicate())
            File("input${made++}.bin").writeBytes(bytes.array())
            return OnnxTensor()
        }
    }
}

class OrtSession : Closeable {
    class SessionOptions

    class Result : Closeable {
        operator fun get(index: Int): Any = OnnxTensor(index)

        override fun close() = Unit
    }

    fun run(inputs: Map<String, OnnxTensor>): Result = Result()

    override fun close() = Unit
}

class OrtEnvironment {
    fun createSession(model: ByteArray, options: OrtSession.SessionOptions): OrtSession = OrtSession()

    companion object {
        @JvmStatic
        fun getEnvironment(): OrtEnvironment = OrtEnvironment()
    }
}
