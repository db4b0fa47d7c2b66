"""How a program calls a TFLite file: what edgekit.inspection.snippets puts between an image and the best classes."""

PYTHON = """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter({file})
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
interpreter.invoke()
y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
"""
ARRAYS = """
from ai_edge_litert.interpreter import Interpreter
results = Interpreter({file}).get_signature_runner()(**inputs)
"""
_LOADED = """
  const char* file = {file};
  auto model = tflite::FlatBufferModel::BuildFromFile(file);
  tflite::ops::builtin::BuiltinOpResolver resolver;
  std::unique_ptr<tflite::Interpreter> interpreter;
  if (!model || tflite::InterpreterBuilder(*model, resolver)(&interpreter, 1) != kTfLiteOk ||
      interpreter->AllocateTensors() != kTfLiteOk)
    return std::fprintf(stderr, "%s does not load\\n", file), 1;
"""
CPP = (
    _LOADED
    + """\
  std::copy(input.begin(), input.end(), interpreter->typed_input_tensor<{type}>(0));
  if (interpreter->Invoke() != kTfLiteOk) return std::fprintf(stderr, "%s does not run\\n", file), 1;
  const {out}* y = interpreter->typed_output_tensor<{out}>(0);
  const size_t count = interpreter->output_tensor(0)->bytes / sizeof({out});
"""
)
CPP_ARRAYS = (
    _LOADED
    + """\
{given}
  if (interpreter->Invoke() != kTfLiteOk) return std::fprintf(stderr, "%s does not run\\n", file), 1;
{taken}
"""
)
KOTLIN_ARRAYS = """/** Runs {file}, which is `model`, mapped or read into a direct buffer.
 *  Arrays have the network's axes and values.
{about} */
fun run(model: ByteBuffer, {parameters}): List<FloatArray> {{
    val interpreter = Interpreter(model, Interpreter.Options().setNumThreads(1))
    try {{
{taken}        interpreter.runForMultipleInputsOutputs(arrayOf<Any>({inputs}), mapOf<Int, Any>({outputs}))
        return listOf(
{answers}
        )
    }} finally {{
        interpreter.close()
    }}
}}"""
KOTLIN = """/** {what}.
 *  `model` is {file}, mapped or read into a direct buffer. */
fun classify(model: ByteBuffer, pixels: IntArray, width: Int, height: Int): {returns} {{
    val interpreter = Interpreter(model, Interpreter.Options().setNumThreads(1))
    try {{
        val bytes = ByteBuffer.allocateDirect(interpreter.getOutputTensor(0).numBytes()).order(ByteOrder.nativeOrder())
        interpreter.run(input(pixels, width, height), bytes)
        bytes.rewind()
        val y = bytes{view}
{answer}
    }} finally {{
        interpreter.close()
    }}
}}"""
CALLS = {
    "python": {
        "run": PYTHON,
        "arrays": ARRAYS,
        "names": 'import zipfile\nnames = zipfile.ZipFile({file}).read("labels.txt").decode().splitlines()',
    },
    "cpp": {
        "run": CPP,
        "arrays": CPP_ARRAYS,
        "given": "  std::copy(x{i}.begin(), x{i}.end(), interpreter->typed_input_tensor<{type}>({i}));",
        "taken": "  const {type}* out{i} = interpreter->typed_output_tensor<{type}>({i});",
        "headers": '#include "tensorflow/lite/interpreter.h"\n#include "tensorflow/lite/kernels/register.h"\n'
        '#include "tensorflow/lite/model.h"',
        "build": "Build with TensorFlow Lite: g++ -std=c++17 -O2 program.cc -ltensorflow-lite",
    },
    "kotlin": {
        "run": KOTLIN,
        "arrays": KOTLIN_ARRAYS,
        "given": "",
        "input": "input{i}(x{i})",
        "taken": "        val y{i} = direct({bytes})\n",
        "output": "{i} to y{i}",
        "imports": "import org.tensorflow.lite.Interpreter",
        # From 2.1 on LiteRT's package has the Interpreter again, on the CPU, under its old Java name.
        "build": "Gradle, of Google's Maven: implementation 'com.google.ai.edge.litert:litert:2.1.0' or newer",
        "indent": "        ",  # of what is done with the answer
    },
}
