"""How a program calls an ONNX file: what edgekit.inspection.snippets puts between an image and the best classes."""

PYTHON = """
import onnxruntime
session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
y = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(x)})[0]
"""
ARRAYS = """
import onnxruntime
session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
results = dict(zip(names, session.run(None, inputs)))
"""
CPP = """
  Ort::Env env(ORT_LOGGING_LEVEL_WARNING);
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  Ort::Session session(env, Model(argv[0]).c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const std::vector<int64_t> shape{{{shape}}};
  Ort::Value x = Ort::Value::CreateTensor<{type}>(memory, input.data(), input.size(), shape.data(), shape.size());
  const char* inputs[] = {{{given}}};
  const char* outputs[] = {{{taken}}};
  auto results = session.Run(Ort::RunOptions{{nullptr}}, inputs, &x, 1, outputs, 1);
  const {out}* y = results[0].GetTensorData<{out}>();
  const size_t count = results[0].GetTensorTypeAndShapeInfo().GetElementCount();
"""
CPP_ARRAYS = """
  Ort::Env env(ORT_LOGGING_LEVEL_WARNING);
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  Ort::Session session(env, Model(argv[0]).c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const char* inputs[] = {{{inputs}}};
  const char* outputs[] = {{{outputs}}};
  std::vector<Ort::Value> values;
{given}
  auto results = session.Run(Ort::RunOptions{{nullptr}}, inputs, values.data(), std::size(inputs), outputs,
                             std::size(outputs));
{taken}
"""
KOTLIN_ARRAYS = """/** Runs {file}, whose bytes `model` holds. Make one and keep it, because making it loads the file.
 *  Arrays have the network's axes and values.
 *  An Android app has the file in src/main/assets: `assets.open({asset}).use {{ it.readBytes() }}`.
{about} */
class Network(model: ByteArray) : Closeable {{
    private val environment = OrtEnvironment.getEnvironment()
    private val session = environment.createSession(model, OrtSession.SessionOptions())

    fun run({parameters}): List<FloatArray> {{
        val inputs = mutableMapOf<String, OnnxTensor>()
{given}        try {{
            session.run(inputs).use {{ results ->
{taken}                return listOf(
{answers}
                )
            }}
        }} finally {{
            inputs.values.forEach {{ it.close() }}
        }}
    }}

    override fun close() = session.close()
}}"""
KOTLIN = """/** Runs {file}, whose bytes `model` holds. Make one and keep it, because making it loads the file.
 *  An Android app has the file in src/main/assets: `assets.open({asset}).use {{ it.readBytes() }}`. */
class Classifier(model: ByteArray{more}) : Closeable {{
    private val environment = OrtEnvironment.getEnvironment()
    private val session = environment.createSession(model, OrtSession.SessionOptions())

    /** {what}. */
    fun classify(pixels: IntArray, width: Int, height: Int): {returns} {{
        val shape = longArrayOf({shape})
        OnnxTensor.createTensor(environment, input(pixels, width, height).asFloatBuffer(), shape).use {{ x ->
            session.run(mapOf({given} to x)).use {{ results ->
                val y = (results[0] as OnnxTensor).{getter}
{answer}
            }}
        }}
    }}

    override fun close() = session.close()
}}"""
CALLS = {
    "python": {
        "run": PYTHON,
        "arrays": ARRAYS,
        "names": 'names = session.get_modelmeta().custom_metadata_map["labels"].splitlines()',
    },
    "cpp": {
        "run": CPP,
        "arrays": CPP_ARRAYS,
        "given": "  const std::vector<int64_t> shape{i}{{{shape}}};\n"
        "  values.push_back(Ort::Value::CreateTensor<{type}>(memory, x{i}.data(), x{i}.size(), shape{i}.data(),\n"
        "                                                    shape{i}.size()));",
        "taken": "  const {type}* out{i} = results[{i}].GetTensorData<{type}>();",
        "headers": "#include <onnxruntime_cxx_api.h>",
        "build": "Build with ONNX Runtime: g++ -std=c++17 -O2 program.cc -lonnxruntime",
    },
    "kotlin": {
        "run": KOTLIN,
        "arrays": KOTLIN_ARRAYS,
        "given": "        inputs[{name}] = OnnxTensor.createTensor(\n"
        "            environment, input{i}(x{i}){view}, longArrayOf({shape}){kind}\n        )\n",
        "input": "",
        "taken": "                val y{i} = (results[{i}] as OnnxTensor).byteBuffer\n",
        "output": "",
        "imports": "import ai.onnxruntime.OnnxTensor\nimport ai.onnxruntime.OrtEnvironment\n"
        "import ai.onnxruntime.OrtSession\nimport java.io.Closeable",
        "build": "Gradle: implementation 'com.microsoft.onnxruntime:onnxruntime-android:1.+'",
        "indent": "                ",  # of what is done with the answer
    },
}
