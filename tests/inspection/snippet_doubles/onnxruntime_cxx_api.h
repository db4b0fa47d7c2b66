// The part of ONNX Runtime's C++ interface that a snippet uses, with its real names and signatures.
#pragma once
#include "double.h"

enum OrtLoggingLevel { ORT_LOGGING_LEVEL_WARNING = 2 };
enum OrtAllocatorType { OrtArenaAllocator = 1 };
enum OrtMemType { OrtMemTypeDefault = 0 };

namespace Ort {
struct Env {
  explicit Env(OrtLoggingLevel) {}
};
struct SessionOptions {
  SessionOptions& SetIntraOpNumThreads(int) { return *this; }
};
struct MemoryInfo {
  static MemoryInfo CreateCpu(OrtAllocatorType, OrtMemType) { return {}; }
};
struct RunOptions {
  explicit RunOptions(std::nullptr_t) {}
};
struct TensorTypeAndShapeInfo {
  size_t count;
  size_t GetElementCount() const { return count; }
};
struct Value {
  std::vector<char> bytes;
  mutable size_t size = 1;
  template <typename T>
  static Value CreateTensor(const MemoryInfo&, T* data, size_t count, const int64_t* shape, size_t rank) {
    int64_t elements = 1;
    for (size_t i = 0; i < rank; ++i) elements *= shape[i];
    if (size_t(elements) != count) std::abort();
    static size_t index = 0;  // a program makes its inputs in their order
    edgekit_double::Keep(index++, data, count * sizeof(T));
    return {};
  }
  template <typename T>
  const T* GetTensorData() const {
    size = sizeof(T);
    return reinterpret_cast<const T*>(bytes.data());
  }
  TensorTypeAndShapeInfo GetTensorTypeAndShapeInfo() const { return {bytes.size() / size}; }
};
struct Session {
  Session(const Env&, const char*, const SessionOptions&) {}
  std::vector<Value> Run(const RunOptions&, const char* const*, const Value*, size_t, const char* const*, size_t count) {
    std::vector<Value> values(count);
    for (size_t i = 0; i < count; ++i) values[i].bytes = edgekit_double::Given(i);
    return values;
  }
};
}  // namespace Ort
