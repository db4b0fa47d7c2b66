from __future__ import annotations

import pytest

from edgekit.bench.links.silence import first_line


@pytest.mark.parametrize(
    ("blocks", "line", "rest"),
    [([b"ab", b"c\nde", b"f"], b"abc", b"de"), ([b"abc"], b"", b"abc"), ([b"\nab"], b"", b"ab"), ([], b"", b"")],
)
def test_the_first_line(blocks: list[bytes], line: bytes, rest: bytes) -> None:
    assert first_line(iter(blocks)) == (line, rest)
