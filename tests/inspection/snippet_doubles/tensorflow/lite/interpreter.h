// The same of its interpreter.
#pragma once
#include <memory>

#include "double.h"

enum TfLiteStatus { kTfLiteOk = 0 };
struct TfLiteTensor {
  size_t bytes;
};

namespace tflite {
class Interpreter {
 public:
  TfLiteStatus AllocateTensors() { return kTfLiteOk; }
  TfLiteStatus Invoke() {
    edgekit_double::Keep(input_.data(), input_.size());
    output_ = edgekit_double::Given();
    tensor_.bytes = output_.size();
    return kTfLiteOk;
  }
  template <typename T>
  T* typed_input_tensor(int) {
    input_.resize(INPUT_ELEMENTS * sizeof(T));
    return reinterpret_cast<T*>(input_.data());
  }
  template <typename T>
  T* typed_output_tensor(int) {
    return reinterpret_cast<T*>(output_.data());
  }
  const TfLiteTensor* output_tensor(size_t) const { return &tensor_; }

 private:
  std::vector<char> input_, output_;
  TfLiteTensor tensor_{};
};
}  // namespace tflite
