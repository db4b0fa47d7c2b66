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
    for (size_t i = 0; i < inputs_.size(); ++i) edgekit_double::Keep(i, inputs_[i].data(), inputs_[i].size());
    for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i] = edgekit_double::Given(i);
    tensor_.bytes = outputs_[0].size();
    return kTfLiteOk;
  }
  template <typename T>
  T* typed_input_tensor(int index) {
    const size_t elements[] = {INPUT_ELEMENTS};
    inputs_.resize(std::size(elements));
    inputs_[size_t(index)].resize(elements[index] * sizeof(T));
    return reinterpret_cast<T*>(inputs_[size_t(index)].data());
  }
  template <typename T>
  T* typed_output_tensor(int index) {
    return reinterpret_cast<T*>(outputs_[size_t(index)].data());
  }
  const TfLiteTensor* output_tensor(size_t) const { return &tensor_; }

 private:
  std::vector<std::vector<char>> inputs_, outputs_{2};
  TfLiteTensor tensor_{};
};
}  // namespace tflite
