// The part of TensorFlow Lite's C++ interface that a snippet uses, with its real names and signatures.
#pragma once
#include <memory>

#include "double.h"

namespace tflite {
struct FlatBufferModel {
  static std::unique_ptr<FlatBufferModel> BuildFromFile(const char* path) {
    return std::ifstream(path) ? std::make_unique<FlatBufferModel>() : nullptr;
  }
};
}  // namespace tflite
