"""A C++17 program that runs a file on an image, with its runtime's own C++ interface."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.inspection.snippets_call import Call, cpp_literal
from edgekit.records.manifest import Manifest

PROGRAM = r"""// Run {title} on one image.
// {build}
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>
{headers}

constexpr int kHeight = {height}, kWidth = {width}, kChannels = {channels};
constexpr double kCrop = {crop};  // {crop_words}
constexpr float kMean[] = {{{mean}}}, kStd[] = {{{std}}};

// 8-bit pixels, row by row; `channels` is 3 (red, green, blue) or 1.
struct Image {{
  int width, height, channels;
  std::vector<uint8_t> pixels;
}};

// Which input pixels make an output pixel along one side, and with what weights: a triangle that widens when the image
// shrinks, so that it antialiases.
struct Taps {{
  int first;
  std::vector<double> weights;
}};

std::vector<Taps> MakeTaps(int size, double start, double length, int count) {{
  const double scale = length / count, reach = std::max(scale, 1.0);
  std::vector<Taps> taps;
  for (int i = 0; i < count; ++i) {{
    const double center = start + (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - reach + 0.5));
    const int last = std::min(size, static_cast<int>(center + reach + 0.5));
    Taps tap{{first, {{}}}};
    for (int x = first; x < last; ++x)
      tap.weights.push_back(std::max(0.0, 1.0 - std::abs((x - center + 0.5) / reach)));
    const double sum = std::accumulate(tap.weights.begin(), tap.weights.end(), 0.0);
    for (double& weight : tap.weights) weight /= sum;
    taps.push_back(std::move(tap));
  }}
  return taps;
}}

template <typename Value>
uint8_t Weighted(const Taps& taps, Value value) {{
  double sum = 0;
  for (size_t k = 0; k < taps.weights.size(); ++k) sum += taps.weights[k] * value(taps.first + k);
  return static_cast<uint8_t>(std::clamp(std::floor(sum + 0.5), 0.0, 255.0));
}}

// The central part of the image, resized to the network's input: one side after the other.
Image Resized(const Image& image) {{
  const double wide = {wide}, high = {high};
  const auto across = MakeTaps(image.width, (image.width - wide) / 2, wide, kWidth);
  const auto down = MakeTaps(image.height, (image.height - high) / 2, high, kHeight);
  const int n = image.channels;
  Image narrow{{kWidth, image.height, n, std::vector<uint8_t>(size_t(kWidth) * image.height * n)}};
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < n; ++c)
        narrow.pixels[(size_t(y) * kWidth + x) * n + c] =
            Weighted(across[x], [&](size_t from) {{ return image.pixels[(size_t(y) * image.width + from) * n + c]; }});
  Image small{{kWidth, kHeight, n, std::vector<uint8_t>(size_t(kWidth) * kHeight * n)}};
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < n; ++c)
        small.pixels[(size_t(y) * kWidth + x) * n + c] =
            Weighted(down[y], [&](size_t from) {{ return narrow.pixels[(from * kWidth + x) * n + c]; }});
  return small;
}}

// The network's input from a decoded image, in the file's order: {order}.
std::vector<{type}> Input(Image image) {{
{colour}
  image = Resized(image);
  std::vector<{type}> input(size_t(kHeight) * kWidth * kChannels);
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < kChannels; ++c) {{
        const float pixel = image.pixels[(size_t(y) * kWidth + x) * kChannels + {channel}];
        input[{place}] = {value};
      }}
  return input;
}}

// A picture in the PPM or PGM format with 8 bits (`convert picture.jpg picture.ppm`); put your own decoder here.
Image Read(const char* path) {{
  std::ifstream stream(path, std::ios::binary);
  std::string magic;
  Image image{{}};
  int most = 0;
  stream >> magic >> image.width >> image.height >> most;
  stream.get();
  image.channels = magic == "P6" ? 3 : 1;
  image.pixels.resize(size_t(image.width) * image.height * image.channels);
  stream.read(reinterpret_cast<char*>(image.pixels.data()), std::streamsize(image.pixels.size()));
  if (!stream || most != 255) {{
    std::fprintf(stderr, "%s is no picture in PPM or PGM with 8 bits\n", path);
    std::exit(1);
  }}
  return image;
}}

int main(int argc, char** argv) {{
  if (argc != 2) return std::fprintf(stderr, "usage: %s picture.ppm\n", argv[0]), 2;
  std::vector<{type}> input = Input(Read(argv[1]));
{run}
{answer}
  return 0;
}}
"""
SCORES = """
  std::vector<float> scores;
  for (size_t i = {offset}; i < count; ++i) scores.push_back({score});{background}
  std::vector<int> best(scores.size());
  std::iota(best.begin(), best.end(), 0);
  std::stable_sort(best.begin(), best.end(), [&](int a, int b) {{ return scores[a] > scores[b]; }});
  for (size_t i = 0; i < best.size() && i < 5; ++i) std::printf("%d %.4f\\n", best[i], scores[best[i]]);
"""
INDEX = """
  if (count) std::printf("%d\\n", static_cast<int>(y[0]){minus});
"""
GREY = """  if (image.channels == 3) {
    Image grey{image.width, image.height, 1, std::vector<uint8_t>(image.pixels.size() / 3)};
    for (size_t i = 0; i < grey.pixels.size(); ++i) {
      const uint8_t* p = &image.pixels[3 * i];
      grey.pixels[i] = static_cast<uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
    }
    image = std::move(grey);
  }"""
COLOUR = """  if (image.channels == 1) {
    Image colour{image.width, image.height, 3, {}};
    for (uint8_t value : image.pixels) colour.pixels.insert(colour.pixels.end(), 3, value);
    image = std::move(colour);
  }"""
TYPES = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t", "int64": "int64_t"}


def cpp(manifest: Manifest, parts: Mapping[str, str]) -> str:
    """A program that prints the five best classes, best first, or the one that the file answers with."""
    call = Call(manifest)
    (height, width, channels), how = call.size, call.how
    running = {
        "file": cpp_literal(manifest.file),
        "shape": ", ".join(map(str, call.shape)),
        "type": TYPES[call.given.dtype],
        "given": cpp_literal(call.given.name),
        "taken": cpp_literal(call.taken.name),
        "out": TYPES[call.taken.dtype],
    }
    return PROGRAM.format(
        title=call.title,
        build=parts["build"],
        headers=parts["headers"],
        height=height,
        width=width,
        channels=channels,
        crop=repr(how.crop_fraction),
        crop_words="of the shorter side, as a square" if how.square_crop else "of each side",
        mean=", ".join(f"{float(value)!r}f" for value in how.mean),
        std=", ".join(f"{float(value)!r}f" for value in how.std),
        wide="std::min(image.width, image.height) * kCrop" if how.square_crop else "image.width * kCrop",
        high="std::min(image.width, image.height) * kCrop" if how.square_crop else "image.height * kCrop",
        order="channels first" if call.channels_first else "channels last",
        type=running["type"],
        colour=GREY if how.channels == "L" else COLOUR,
        channel="(kChannels - 1 - c)" if how.channels == "BGR" else "c",
        place="(size_t(c) * kHeight + y) * kWidth + x"
        if call.channels_first
        else "(size_t(y) * kWidth + x) * kChannels + c",
        value=_value(call),
        run=parts["run"].format(**running).strip("\n"),
        answer=_answer(call),
    )


def _value(call: Call) -> str:
    tensor, normalised = call.given, "(pixel - kMean[c]) / kStd[c]"
    if call.takes_pixels:
        return f"static_cast<{TYPES[tensor.dtype]}>(pixel{' - 128' if tensor.dtype == 'int8' else ''})"
    if tensor.scale is None:
        return normalised
    low, high = (0, 255) if tensor.dtype == "uint8" else (-128, 127)
    steps = f"std::nearbyint({normalised} / {tensor.scale!r}f) + {tensor.zero_point}"
    return f"static_cast<{TYPES[tensor.dtype]}>(std::clamp<float>({steps}, {low}, {high}))"


def _answer(call: Call) -> str:
    offset, tensor = call.how.class_offset, call.taken
    if call.gives_index:
        return INDEX.format(minus=f" - {offset}" if offset else "").strip("\n")
    score = "y[i]" if tensor.scale is None else f"(y[i] - {tensor.zero_point}) * {tensor.scale!r}f"
    background = "  // index 0 is the background" if offset else ""
    return SCORES.format(offset=offset, score=score, background=background).strip("\n")
