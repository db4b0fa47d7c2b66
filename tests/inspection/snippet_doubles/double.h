// What the doubles of both runtimes share: inputs go to input0.bin and so on, outputs come from output0.bin and so on.
#pragma once
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace edgekit_double {
inline std::string Name(const char* side, size_t index) { return side + std::to_string(index) + ".bin"; }
inline void Keep(size_t index, const void* data, size_t bytes) {
  std::ofstream(Name("input", index), std::ios::binary).write(static_cast<const char*>(data), std::streamsize(bytes));
}
inline std::vector<char> Given(size_t index) {
  std::ifstream stream(Name("output", index), std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
}  // namespace edgekit_double
