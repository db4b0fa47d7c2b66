// The same of its registered operators.
#pragma once
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/model.h"

namespace tflite::ops::builtin {
struct BuiltinOpResolver {};
}  // namespace tflite::ops::builtin

namespace tflite {
struct InterpreterBuilder {
  InterpreterBuilder(const FlatBufferModel&, const ops::builtin::BuiltinOpResolver&) {}
  TfLiteStatus operator()(std::unique_ptr<Interpreter>* interpreter, int) {
    *interpreter = std::make_unique<Interpreter>();
    return kTfLiteOk;
  }
};
}  // namespace tflite
