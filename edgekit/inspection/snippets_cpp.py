"""A C++17 program that runs a file on an image, with its runtime's own C++ interface."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.inspection.snippets_call import Array, Call, cpp_literal, in_comment, template

SCORES = """
  std::vector<float> scores;
  for (size_t i = {offset}; i < count; ++i) scores.push_back({score});{background}
  std::vector<int> best(scores.size());
  std::iota(best.begin(), best.end(), 0);
  std::stable_sort(best.begin(), best.end(), [&](int a, int b) {{ return scores[a] > scores[b]; }});
  for (size_t i = 0; i < best.size() && i < 5; ++i) std::printf({shown});
"""
NAMES = "\n// The classes' names by index.\nconst char* const kNames[] = {{\n    {names},\n}};"
READ_NAMES = """

// The classes' names by index, from {title}: beside this program, else where it was when this was printed.
std::vector<std::string> Names(const char* program) {{
  const auto beside = std::filesystem::path(program).replace_filename({name});
  std::ifstream stream(std::filesystem::exists(beside) ? beside : std::filesystem::path({place}));
  std::vector<std::string> names;
  for (std::string line; std::getline(stream, line);) names.push_back(line);
  names.erase(names.begin(), names.begin() + std::min<size_t>({offset}, names.size()));
  return names;
}}"""
NAMED = """\
  const auto names = Names(argv[0]);
  if (names.size() < {count})
    return std::fprintf(stderr, "%s is missing, or has too few names\\n", {name}), 1;
"""
INDEX = """
  if (count) {{
    const int best = static_cast<int>(y[0]){minus};
    std::printf({shown});
  }}
"""
GRAY = """  if (image.channels == 3) {
    Image gray{image.width, image.height, 1, std::vector<uint8_t>(image.pixels.size() / 3)};
    for (size_t i = 0; i < gray.pixels.size(); ++i) {
      const uint8_t* p = &image.pixels[3 * i];
      gray.pixels[i] = static_cast<uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
    }
    image = std::move(gray);
  }"""
COLOR = """  if (image.channels == 1) {
    Image color{image.width, image.height, 3, {}};
    for (uint8_t value : image.pixels) color.pixels.insert(color.pixels.end(), 3, value);
    image = std::move(color);
  }"""
ALPHA = """  if (image.channels != 4) {
    std::fprintf(stderr, "the network takes 4 channels, and the picture has %d\\n", image.channels);
    std::exit(1);
  }"""
# What a picture's header says, of the formats that one channel or three have, and four.
PPM_HEAD = """  stream >> magic >> image.width >> image.height >> most;
  image.channels = magic == "P6" ? 3 : 1;"""
PAM_HEAD = """  stream >> magic;
  for (std::string word; stream >> word && word != "ENDHDR";) {
    if (word == "WIDTH") stream >> image.width;
    if (word == "HEIGHT") stream >> image.height;
    if (word == "DEPTH") stream >> image.channels;
    if (word == "MAXVAL") stream >> most;
  }"""
PPM = ("PPM or PGM", "picture.ppm", PPM_HEAD, "3 (red, green, blue) or 1")
PAM = ("PAM", "picture.pam", PAM_HEAD, "4 (red, green, blue, alpha)")
MODEL = """\
// The file: beside this program, where the two ship together; else where it was when this was printed.
std::filesystem::path Model(const char* program) {{
  const auto beside = std::filesystem::path(program).replace_filename({name});
  return std::filesystem::exists(beside) ? beside : std::filesystem::path({place});
}}"""
COLORS = {"L": GRAY, "RGBA": ALPHA}
TYPES = {"float32": "float", "bool": "bool", **{name: f"{name}_t" for name in ("int8", "uint8", "int32", "int64")}}


def cpp(call: Call, parts: Mapping[str, str]) -> str:
    """Return a program that prints the five best classes, best first, or the one that the file answers with."""
    (height, width, channels), how = call.size, call.how
    names = call.names(cpp_literal)
    picture, example, head, known = PAM if how.has_alpha else PPM
    running = {
        "shape": ", ".join(map(str, call.shape)),
        "type": TYPES[call.given.dtype],
        "given": cpp_literal(call.given.name),
        "taken": cpp_literal(call.taken.name),
        "out": TYPES[call.taken.dtype],
    }
    return template("program.cpp").substitute(
        title=call.title,
        build=parts["build"],
        headers=parts["headers"],
        model=model(call),
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
        color=COLORS.get(how.channels, COLOR),
        picture=picture,
        example=example,
        head=head,
        known=known,
        channel="(kChannels - 1 - c)" if how.channels == "BGR" else "c",
        place="(size_t(c) * kHeight + y) * kWidth + x"
        if call.channels_first
        else "(size_t(y) * kWidth + x) * kChannels + c",
        value=_value(call),
        names=NAMES.format(names=names) if names else _read_names(call),
        run=parts["run"].format(**running).strip("\n"),
        answer=_answer(call),
    )


def _read_names(call: Call) -> str:
    """The function that reads the names, where a program does."""
    if call.names_place is None:
        return ""
    name, place = (cpp_literal(text) for text in (call.names_place.name, str(call.names_place)))
    return READ_NAMES.format(
        title=in_comment(call.names_place.name), name=name, place=place, offset=call.how.class_offset
    )


def model(call: Call) -> str:
    """Return the function that finds the file."""
    return MODEL.format(name=cpp_literal(call.name), place=cpp_literal(str(call.place)))


def _value(call: Call) -> str:
    tensor, normalized = call.given, "(pixel - kMean[c]) / kStd[c]"
    if call.takes_pixels:
        return f"static_cast<{TYPES[tensor.dtype]}>(pixel{' - 128' if tensor.dtype == 'int8' else ''})"
    if tensor.scale is None:
        return normalized
    low, high = Array(tensor).limits
    steps = f"std::nearbyint({normalized} / {tensor.scale!r}f) + {tensor.zero_point}"
    return f"static_cast<{TYPES[tensor.dtype]}>(std::clamp<float>({steps}, {low}, {high}))"


def _answer(call: Call) -> str:
    """What is printed of the scores."""
    if call.names_place is None:
        return _shown(call)
    count = len(call.manifest.labels) - call.how.class_offset
    return f"{NAMED.format(count=count, name=cpp_literal(call.names_place.name))}{_shown(call)}"


def _shown(call: Call) -> str:
    offset, tensor = call.how.class_offset, call.taken
    named = "names.at({}).c_str()" if call.names_place else "kNames[{}]"
    if call.gives_index:
        name = f'best < 0 ? "background" : {named.format("best")}' if offset else named.format("best")
        shown = f'"%d %s\\n", best, {name}' if call.manifest.labels else '"%d\\n", best'
        return INDEX.format(minus=f" - {offset}" if offset else "", shown=shown).strip("\n")
    score = "y[i]" if tensor.scale is None else f"(y[i] - {tensor.zero_point}) * {tensor.scale!r}f"
    background = "  // index 0 is the background" if offset else ""
    shown = '"%d %.4f\\n", best[i], scores[best[i]]'
    if call.manifest.labels:
        shown = f'"%d %.4f %s\\n", best[i], scores[best[i]], {named.format("best[i]")}'
    return SCORES.format(offset=offset, score=score, background=background, shown=shown).strip("\n")
