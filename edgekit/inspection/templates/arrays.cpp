// Run ${title} on one example: a file for each input, as numpy.save writes it.
// ${build}
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>
${headers}

// The numbers of an array of float32 in C order, as numpy.save writes them.
std::vector<float> Read(const char* path, size_t count) {
  std::ifstream stream(path, std::ios::binary);
  unsigned char head[8] = {}, size[4] = {};
  stream.read(reinterpret_cast<char*>(head), 8);
  stream.read(reinterpret_cast<char*>(size), head[6] == 1 ? 2 : 4);
  std::string about(stream ? size[0] + 256u * size[1] : 0, ' ');
  stream.read(about.data(), std::streamsize(about.size()));
  const bool fits = about.find("'<f4'") != std::string::npos && about.find("'fortran_order': False") != std::string::npos;
  std::vector<float> numbers(count);
  stream.read(reinterpret_cast<char*>(numbers.data()), std::streamsize(count * sizeof(float)));
  if (!stream || !fits || stream.peek() != std::ifstream::traits_type::eof()) {
    std::fprintf(stderr, "%s does not hold %zu numbers of float32 in C order\n", path, count);
    std::exit(1);
  }
  return numbers;
}

// Where the number at `i`, channels first, lies in an array with channels last.
[[maybe_unused]] size_t ChannelsLast(size_t i, size_t channels, size_t places) {
  const size_t image = i / (channels * places), channel = i / places % channels, place = i % places;
  return (image * places + place) * channels + channel;
}

void Print(const char* name, const std::vector<double>& numbers) {
  std::printf("%s:", name);
  for (size_t i = 0; i < numbers.size() && i < 10; ++i) std::printf(" %.6g", numbers[i]);
  std::printf(numbers.size() > 10 ? " ...\n" : "\n");
}

${model}

int main(int argc, char** argv) {
  if (argc != ${arguments}) return std::fprintf(stderr, "usage: %s ${usage}\n", argv[0]), 2;
${inputs}
${run}
${outputs}
  return 0;
}
