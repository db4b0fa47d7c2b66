"""Files of /proc and /sys: what they tell, and nothing where they tell nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bench.ondevice.sensors.kernel_files import number, text


@pytest.mark.parametrize(
    ("content", "word", "whole"),
    [
        (b"42\n", "42", 42),
        (b"-40000\0\n", "-40000", -40000),
        (b"9223372036854775807\n", "9223372036854775807", 2**63 - 1),
        (b"1.5\n", "1.5", None),
        (b"4 2\n", "4 2", None),
        ("\u0664\n".encode(), "\u0664", None),  # a digit, and none of the kernel's
        (b"", "", None),
        (b"\xff\n", None, None),
        (None, None, None),  # no such file
    ],
)
def test_a_file_of_the_kernel(content: bytes | None, word: str | None, whole: int | None, tmp_path: Path) -> None:
    path = tmp_path / "level"
    if content is not None:
        path.write_bytes(content)
    assert (text(path), number(path)) == (word, whole)
