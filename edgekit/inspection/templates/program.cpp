// Run ${title} on one image.
// ${build}
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>
${headers}

constexpr int kHeight = ${height}, kWidth = ${width}, kChannels = ${channels};
constexpr double kCrop = ${crop};  // ${crop_words}
constexpr float kMean[] = {${mean}}, kStd[] = {${std}};${names}

// 8-bit pixels, row by row; `channels` is ${known}.
struct Image {
  int width, height, channels;
  std::vector<uint8_t> pixels;
};

// Which input pixels make an output pixel along one side, and with what weights: a triangle that widens when the image
// shrinks, so that it antialiases.
struct Taps {
  int first;
  std::vector<double> weights;
};

std::vector<Taps> MakeTaps(int size, double start, double length, int count) {
  const double scale = length / count, reach = std::max(scale, 1.0);
  std::vector<Taps> taps;
  for (int i = 0; i < count; ++i) {
    const double center = start + (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - reach + 0.5));
    const int last = std::min(size, static_cast<int>(center + reach + 0.5));
    Taps tap{first, {}};
    for (int x = first; x < last; ++x)
      tap.weights.push_back(std::max(0.0, 1.0 - std::abs((x - center + 0.5) / reach)));
    const double sum = std::accumulate(tap.weights.begin(), tap.weights.end(), 0.0);
    for (double& weight : tap.weights) weight /= sum;
    taps.push_back(std::move(tap));
  }
  return taps;
}

template <typename Value>
uint8_t Weighted(const Taps& taps, Value value) {
  double sum = 0;
  for (size_t k = 0; k < taps.weights.size(); ++k) sum += taps.weights[k] * value(taps.first + k);
  return static_cast<uint8_t>(std::clamp(std::floor(sum + 0.5), 0.0, 255.0));
}

// The central part of the image, resized to the network's input: one side after the other.
Image Resized(const Image& image) {
  const double wide = ${wide}, high = ${high};
  const auto across = MakeTaps(image.width, (image.width - wide) / 2, wide, kWidth);
  const auto down = MakeTaps(image.height, (image.height - high) / 2, high, kHeight);
  const int n = image.channels;
  Image narrow{kWidth, image.height, n, std::vector<uint8_t>(size_t(kWidth) * image.height * n)};
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < n; ++c)
        narrow.pixels[(size_t(y) * kWidth + x) * n + c] =
            Weighted(across[x], [&](size_t from) { return image.pixels[(size_t(y) * image.width + from) * n + c]; });
  Image small{kWidth, kHeight, n, std::vector<uint8_t>(size_t(kWidth) * kHeight * n)};
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < n; ++c)
        small.pixels[(size_t(y) * kWidth + x) * n + c] =
            Weighted(down[y], [&](size_t from) { return narrow.pixels[(from * kWidth + x) * n + c]; });
  return small;
}

// The network's input from a decoded image, in the file's order: ${order}.
std::vector<${type}> Input(Image image) {
${color}
  image = Resized(image);
  std::vector<${type}> input(size_t(kHeight) * kWidth * kChannels);
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < kChannels; ++c) {
        const float pixel = image.pixels[(size_t(y) * kWidth + x) * kChannels + ${channel}];
        input[${place}] = ${value};
      }
  return input;
}

// A picture in the ${picture} format with 8 bits (`convert picture.png ${example}`); put your own decoder here.
Image Read(const char* path) {
  std::ifstream stream(path, std::ios::binary);
  std::string magic;
  Image image{};
  int most = 0;
${head}
  stream.get();
  image.pixels.resize(size_t(image.width) * image.height * image.channels);
  stream.read(reinterpret_cast<char*>(image.pixels.data()), std::streamsize(image.pixels.size()));
  if (!stream || most != 255) {
    std::fprintf(stderr, "%s is no picture in ${picture} with 8 bits\n", path);
    std::exit(1);
  }
  return image;
}

${model}

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s ${example}\n", argv[0]), 2;
  std::vector<${type}> input = Input(Read(argv[1]));
${run}
${answer}
  return 0;
}
