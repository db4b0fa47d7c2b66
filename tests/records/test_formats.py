"""The table of formats: one record for each, whose names fit what they name."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.exporters.int8.activations import SCHEMES
from edgekit.inspection.snippets import SNIPPETS
from edgekit.records.formats import FORMATS, Format, format_of, load, tool_versions
from edgekit.records.runtime import RUNTIMES

EACH = [pytest.param(format, id=name) for name, format in FORMATS.items()]
VEGA_MARKS = ("circle", "square", "cross", "diamond", "triangle-up", "triangle-down")


@pytest.mark.parametrize("format", EACH)
def test_a_record_names_what_is_there(format: Format) -> None:
    assert callable(load(format.writer)) and format.mark in VEGA_MARKS
    assert format.scheme in SCHEMES or ("int8" in format.lacks and not format.scheme)
    assert format.name in RUNTIMES[format.runtime].formats
    assert format.reader is None or callable(load(format.reader))
    assert format.calls is None or set(load(format.calls)) <= set(SNIPPETS)
    assert format_of(Path(f"a{format.suffix}")) is format
    assert all(FORMATS.canonical(alias) == format.name for alias in format.aliases)


def test_suffixes_and_marks_tell_formats_apart() -> None:
    formats = [format for _, format in FORMATS.items()]
    assert len({format.suffix for format in formats}) == len({format.mark for format in formats}) == len(formats)


def test_a_file_of_no_format_is_no_artifact() -> None:
    with pytest.raises(UsageError, match="a.txt is no artifact"):
        format_of(Path("a.txt"))


def test_versions_are_those_that_are_installed() -> None:
    found = tool_versions()
    assert found["torch"] == metadata.version("torch") and found["onnx"] == metadata.version("onnx")
    assert set(found) <= {"torch", "numpy", *(package for _, one in FORMATS.items() for package in one.packages)}
