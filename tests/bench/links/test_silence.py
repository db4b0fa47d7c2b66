from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

from edgekit.bench.links.silence import Silence, coming, first_line, written

MANY = 1100  # files of a process, more than select() knows


@pytest.mark.parametrize(
    ("blocks", "line", "rest"),
    [([b"ab", b"c\nde", b"f"], b"abc", b"de"), ([b"abc"], b"", b"abc"), ([b"\nab"], b"", b"ab"), ([], b"", b"")],
)
def test_the_first_line(blocks: list[bytes], line: bytes, rest: bytes) -> None:
    assert first_line(iter(blocks)) == (line, rest)


@pytest.fixture
def many_files() -> Iterator[None]:
    """A process may have MANY files open, and a few more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard <= MANY + 10:
        pytest.skip(f"a process may have {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY + 10 if soft < MANY + 10 else soft, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pipes_of_a_process_with_many_files(many_files: None) -> None:
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD, MANY) for end in ends]
    for end in ends:
        os.close(end)
    with os.fdopen(high[0], "rb") as read:
        with os.fdopen(high[1], "wb") as write:
            written(write, [b"ab", b"c"], 60)
            assert next(coming(read, 60)) == b"abc"
            with pytest.raises(Silence):
                next(coming(read, 0))
        assert list(coming(read, 60)) == []
