"""How a program calls a TFLite file: what edgekit.inspection.snippets puts between an image and the best classes."""

PYTHON = """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(str(MODEL))
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
interpreter.invoke()
y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
"""
ARRAYS = """
from ai_edge_litert.interpreter import Interpreter
results = Interpreter(str(MODEL)).get_signature_runner()(**inputs)
"""
_LOADED = """
  const std::string file = Model(argv[0]).string();
  auto model = tflite::FlatBufferModel::BuildFromFile(file.c_str());
  tflite::ops::builtin::BuiltinOpResolver resolver;
  std::unique_ptr<tflite::Interpreter> interpreter;
  if (!model || tflite::InterpreterBuilder(*model, resolver)(&interpreter, 1) != kTfLiteOk ||
      interpreter->AllocateTensors() != kTfLiteOk)
    return std::fprintf(stderr, "%s does not load\\n", file.c_str()), 1;
"""
CPP = (
    _LOADED
    + """\
  std::copy(input.begin(), input.end(), interpreter->typed_input_tensor<{type}>(0));
  if (interpreter->Invoke() != kTfLiteOk) return std::fprintf(stderr, "%s does not run\\n", file.c_str()), 1;
  const {out}* y = interpreter->typed_output_tensor<{out}>(0);
  const size_t count = interpreter->output_tensor(0)->bytes / sizeof({out});
"""
)
CPP_ARRAYS = (
    _LOADED
    + """\
{given}
  if (interpreter->Invoke() != kTfLiteOk) return std::fprintf(stderr, "%s does not run\\n", file.c_str()), 1;
{taken}
"""
)
_KOTLIN_MODEL = """/** The model as LiteRT takes it. An Android app has the file in src/main/assets:
 *  `model(assets.open({asset}))`. */
fun model(stream: InputStream): ByteBuffer {{
    val bytes = stream.use {{ it.readBytes() }}
    val buffer = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder())
    buffer.put(bytes)
    buffer.rewind()
    return buffer
}}

"""
KOTLIN_ARRAYS = (
    _KOTLIN_MODEL
    + """/** Runs {file}, which is `model`. Make one and keep it, because making it loads the file.
 *  Arrays have the network's axes and values.
{about} */
class Network(model: ByteBuffer) : Closeable {{
    private val interpreter = Interpreter(model, Interpreter.Options().setNumThreads(1))

    fun run({parameters}): List<FloatArray> {{
{taken}        interpreter.runForMultipleInputsOutputs(arrayOf<Any>({inputs}), mapOf<Int, Any>({outputs}))
        return listOf(
{answers}
        )
    }}

    override fun close() = interpreter.close()
}}"""
)
KOTLIN = (
    _KOTLIN_MODEL
    + """/** Runs {file}, which is `model`. Make one and keep it, because making it loads the file. */
class Classifier(model: ByteBuffer{more}) : Closeable {{
    private val interpreter = Interpreter(model, Interpreter.Options().setNumThreads(1))

    /** {what}. */
    fun classify(pixels: IntArray, width: Int, height: Int): {returns} {{
        val bytes = ByteBuffer.allocateDirect(interpreter.getOutputTensor(0).numBytes()).order(ByteOrder.nativeOrder())
        interpreter.run(input(pixels, width, height), bytes)
        bytes.rewind()
        val y = bytes{view}
{answer}
    }}

    override fun close() = interpreter.close()
}}"""
)
CALLS = {
    "python": {
        "run": PYTHON,
        "arrays": ARRAYS,
        "names": 'import zipfile\nnames = zipfile.ZipFile(MODEL).read("labels.txt").decode().splitlines()',
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
        "imports": "import java.io.Closeable\nimport java.io.InputStream\nimport org.tensorflow.lite.Interpreter",
        # From 2.1 on LiteRT's package has the Interpreter again, on the CPU, under its old Java name.
        "build": "Gradle, of Google's Maven: implementation 'com.google.ai.edge.litert:litert:2.1.0' or newer",
        "indent": "        ",  # of what is done with the answer
    },
}
