"""The preprocessing file: what it may say, in which units, and what other frameworks' words are in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.records.preprocessing import CHANNELS, TENSORFLOW, ForeignInput, Preprocessing, normalize
from edgekit.records.preprocessing_file import _KEYS, Described, reader
from tests.paths import ROOT

DOCS = ROOT / "docs"


def _file(folder: Path, text: str) -> Path:
    path = folder / "p.yaml"
    path.write_text(text)
    return path


def foreign_input(said: Described, channels: int | None = None) -> ForeignInput:
    return reader(said)(channels)


def described(said: Described, channels: int | None = None) -> Preprocessing:
    return foreign_input(said, channels).preprocessing


def test_a_preprocessing_file_says_everything(tmp_path: Path) -> None:
    text = "{size: [96, 64], crop: 0.9, mean: [1, 2, 3], scale: 0.5, channels: BGR, layout: NCHW, class_offset: 1}"
    said = foreign_input(_file(tmp_path, text))
    assert said.size == (96, 64) and said.layout == "NCHW"
    assert said.preprocessing == Preprocessing(
        channels="BGR", crop_fraction=0.9, mean=(1.0, 2.0, 3.0), std=(2.0, 2.0, 2.0), class_offset=1
    )


def test_scale_multiplies_and_std_divides(tmp_path: Path) -> None:
    assert described(_file(tmp_path, "scale: 0.0078125")).std == (128.0,) * 3
    assert described(_file(tmp_path, "{channels: L, std: 128}")).std == (128.0,)


@pytest.mark.parametrize(
    ("text", "own", "channels"),
    [
        ("mean: 100", None, "RGB"),
        ("mean: [100]", None, "L"),
        ("std: [1, 2, 3, 4]\nmean: 9", None, "RGBA"),
        ("mean: 100", 1, "L"),
        ("mean: 100", 3, "RGB"),
        ("mean: 100", 4, "RGBA"),
        ("mean: 100", 7, "RGB"),
        ("channels: BGR", 3, "BGR"),
        ("channels: RGB", 1, "RGB"),
    ],
)
def test_channels_that_are_not_written_are_those_of_the_input(
    text: str, own: int | None, channels: str, tmp_path: Path
) -> None:
    said = described(_file(tmp_path, text), own)
    assert said.channels == channels and len(said.mean) == len(said.std) == CHANNELS[channels]


def test_values_for_other_channels_than_the_input_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mean must be one number for images of 1 channel, not"):
        described(_file(tmp_path, "mean: [1, 2, 3]"), 1)


def test_an_empty_answer_is_the_default(tmp_path: Path) -> None:
    said = foreign_input(_file(tmp_path, "{}"))
    assert said.preprocessing == TENSORFLOW and said.size is None and said.layout is None


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("meen: 3", "did you mean 'mean'"),
        ("- 1", "holds no keys"),
        ("", "holds no keys"),
        ("a: [", "cannot be read"),
        ("size: big", "size must be"),
        ("size: [1, 2, 3]", "size must be"),
        ("size: true", "size must be"),
        ("mean: [1, 2]", "mean must be one number or 3"),
        ("mean: x", "mean must be"),
        ("layout: CHW", "layout must be"),
        ("crop: 87.5", "the fraction of the image that is kept, above 0 and at most 1, not 87.5"),
        ("channels: [1]", "wrong"),
        ("class_offset: one", "wrong"),
        ("scale: 0", "scale must not be 0"),
        ("{scale: 1, std: 1}", "give one of them"),
        ("{mean: 127.5, scale: 127.5}", "inputs would reach"),
        ("{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}", "does not say its units"),
        ("{mean: 0.5, std: 0.5}", "does not say its units"),
        ("{channels: L, mean: -1, scale: 4}", "does not say its units"),
        ("{mean: 0, std: 1}", "does not say its units"),
        ("units: 1", "units must be 0..255 or 0..1"),
        ("units: [0..1]", "units must be"),
        ("{units: 0..1, mean: 127.5, std: 0.5}", "127.5 is beyond 1"),
        ("std: 0", "above 0"),
        ("std: 1e-30", "inputs would reach 1.275e"),
        ("scale: 1e+30", "inputs would reach"),
        ("{mean: 1e308, std: 1e-30}", "inputs would reach inf"),
        ("std: 1e999", "finite"),
        ("mean: " + "9" * 400, "wrong"),
        ("mean: " + "9" * 5000, "cannot be read"),
        ("std: " + "[" * 20_000, "cannot be read"),
        ("? [1]\n: 2", "cannot be read"),
        ("size: &a [1]\nmean: &b [" + "*a," * 99 + "]\nstd: [" + "*b," * 999 + "]", "must be one number or 3, not"),
        ("size: &a [*a]", "recursive node"),
        ("!!python/object/apply:os.system [ls]", "cannot be read"),
    ],
)
def test_a_wrong_preprocessing_file_says_what_is_wrong(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause) as caught:
        foreign_input(_file(tmp_path, text))
    assert "\n" not in caught.value.message and caught.value.remedy


@pytest.mark.parametrize(
    "values",
    [
        {"units": "0..1", "mean": (0.485, 0.456, 0.406), "std": np.array([0.229, 0.224, 0.225])},
        {"units": "0..1", "mean": [0.485, 0.456, 0.406], "std": (0.229, 0.224, 0.225)},
        {"mean": np.float32(127.5), "std": np.float64(127.5), "size": (32, 64), "channels": "BGR"},
        {},
    ],
)
def test_a_mapping_says_what_a_file_with_its_keys_says(values: dict[str, Any], tmp_path: Path) -> None:
    plain = {key: np.asarray(value).tolist() for key, value in values.items()}
    assert foreign_input(values) == foreign_input(_file(tmp_path, json.dumps(plain)))


@pytest.mark.parametrize(
    ("values", "cause", "remedy"),
    [
        ({"mean": 0.5, "std": 0.5}, "the preprocessing does not say its units", "add `units: 0..1`"),
        ({"resize": 256}, "the preprocessing has the key 'resize', which is another framework's", "`crop: 0.875`"),
        ({"maen": 1}, "unknown key 'maen'; did you mean 'mean'", "its keys: size, crop"),
        ({1: 2}, "unknown key '1'", "its keys"),
        ({"mean": [1, 2]}, "the preprocessing is wrong: mean must be one number or 3", "correct it"),
        ({"mean": {1, 2}}, "mean must be one number or 3", "correct it"),
    ],
)
def test_a_mapping_is_checked_as_a_file_is(values: dict[Any, Any], cause: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=cause) as caught:
        foreign_input(values)
    assert remedy in caught.value.remedy


def test_a_missing_preprocessing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml cannot be read"):
        foreign_input(tmp_path / "nowhere.yaml")


def test_a_key_that_stands_twice_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'mean' is there twice, first in line 1 \(line 3, column 1\)"):
        described(_file(tmp_path, "mean: 1\nsize: 32\nmean: 2\n"))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("{mean: 0.5, std: 0.5}", "`mean: 127.5` and `std: 127.5`"),
        ("{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}", "`mean: [123.675, 116.28, 103.53]`"),
        ("{channels: L, mean: 0.1307, std: 0.3081}", "`mean: 33.3285` and `std: 78.5655`"),
    ],
)
def test_small_numbers_are_refused_with_what_they_are_in_pixels(tmp_path: Path, text: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        described(_file(tmp_path, text))
    assert caught.value.remedy and remedy in caught.value.remedy and "`units: 0..1`" in caught.value.remedy
    said = described(_file(tmp_path, text.replace("{", "{units: 0..1, ")))
    assert said == described(_file(tmp_path, f"{{channels: {said.channels}, {in_pixels(caught.value.remedy)}}}"))


def in_pixels(remedy: str) -> str:
    """The mean and std that a remedy says."""
    return ", ".join(re.findall(r"`((?:mean|std): [^`]*)`", remedy))


def test_raw_pixels_are_said_openly(tmp_path: Path) -> None:
    assert described(_file(tmp_path, "{units: 0..255, mean: 0, std: 1}")).std == (1.0,) * 3


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("resize", "`crop: 0.875`"),
        ("crop_pct", "`crop: 0.875`"),
        ("normalize", "`units: 0..1`"),
        ("image_mean", "`units: 0..1`"),
        ("rescale_factor", "`std: 255`"),
        ("mode", "mode caffe|caffe is `channels: BGR`"),
        ("interpolation", "bilinearly"),
        ("imgsz", "`size` is"),
        ("BGR", "`channels` is"),
    ],
)
def test_words_of_other_frameworks_are_explained(tmp_path: Path, word: str, meaning: str) -> None:
    with pytest.raises(UsageError, match="another framework's") as caught:
        described(_file(tmp_path, f"{word}: 256"))
    assert re.search(meaning, str(caught.value.remedy))


PIXELS = np.arange(0, 256, 5, dtype=np.uint8).repeat(3).reshape(-1, 1, 3)
SCALED = PIXELS.astype(np.float64) / 255
# What each framework computes from an RGB image of 0..255, in its own words.
FRAMEWORKS = {
    "torchvision": (SCALED - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    "Keras, mode tf, and TF-slim": PIXELS / 127.5 - 1,
    "Keras, mode caffe": PIXELS[..., ::-1] - np.array([103.939, 116.779, 123.68]),
    "Keras, pixels as they are": PIXELS.astype(np.float64),
    "ultralytics, classification": SCALED,
    "gray, as for MNIST": (SCALED[..., :1] - 0.1307) / 0.3081,
}


def test_the_examples_of_the_page_are_what_the_frameworks_compute(tmp_path: Path) -> None:
    page = (DOCS / "preprocessing.md").read_text(encoding="utf-8")
    examples = dict(re.findall(r"\*\*([^*]+)\*\*\n+```yaml\n(.*?)```", page, re.DOTALL))
    assert examples.keys() == FRAMEWORKS.keys()
    for name, expected in FRAMEWORKS.items():
        said = described(_file(tmp_path, examples[name]))
        given = PIXELS[..., :1] if said.channels == "L" else PIXELS[..., :: -1 if said.channels == "BGR" else 1]
        np.testing.assert_allclose(normalize(said, given), np.moveaxis(expected, -1, 0), atol=2e-6, rtol=2e-6)


def test_the_page_names_every_key() -> None:
    page = (DOCS / "preprocessing.md").read_text(encoding="utf-8")
    assert [key for key in _KEYS if f"| `{key}` |" not in page] == []
