// The part of TensorFlow Lite's and ONNX Runtime's Java interfaces that a snippet uses. Inputs go to input0.bin and so
// on, outputs come from output0.bin and so on.
package org.tensorflow.lite

import java.io.File
import java.nio.ByteBuffer

class Tensor(private val bytes: Int) {
    fun numBytes(): Int = bytes
}

class Interpreter(model: ByteBuffer, options: Options) {
    class Options {
        fun setNumThreads(threads: Int): Options = this
    }

    fun getOutputTensor(index: Int): Tensor = Tensor(File("output$index.bin").length().toInt())

    fun run(input: Any, output: Any) = runForMultipleInputsOutputs(arrayOf(input), mapOf(0 to output))

    fun runForMultipleInputsOutputs(inputs: Array<Any>, outputs: Map<Int, Any>) {
        inputs.forEachIndexed { index, input ->
            val given = input as ByteBuffer
            File("input$index.bin").writeBytes(ByteArray(given.remaining()).also { given.duplicate().get(it) })
        }
        for ((index, output) in outputs) (output as ByteBuffer).put(File("output$index.bin").readBytes())
    }

    fun close() = Unit
}
