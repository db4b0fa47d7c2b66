"""What each release of TensorRT can be asked for."""

from __future__ import annotations

import pytest

from edgekit.errors import BackendMissing, UsageError
from edgekit.tensorrt.capabilities import PRECISIONS, TABLE, capabilities, check_dla


@pytest.mark.parametrize(
    ("version", "since"),
    [("8.5.2", (8, 5)), ("8.6.1", (8, 6)), ("10.3.0", (10, 0)), ("10.16.1", (10, 0)), ("11.4.0", (11, 0))],
)
def test_every_release_has_its_row(version: str, since: tuple[int, int]) -> None:
    assert capabilities(version).since == since


@pytest.mark.parametrize("version", ["7.1.3", "8.4.10", "9.2.0", "12.0.0", "", "unknown", "\xb3.1", "9" * 5000])
def test_other_releases_are_refused(version: str) -> None:
    with pytest.raises(BackendMissing, match="8, 10, 11 .from 8.5 on"):
        capabilities(version)


def test_what_is_strongly_typed_has_no_flag_that_names_a_type() -> None:
    for row in TABLE:
        for precision in PRECISIONS:
            typed = "STRONGLY_TYPED" in row.network_flags(precision)
            assert not (typed and {"FP16", "INT8"} & set(row.builder_flags(precision)))
            assert row.file_precision(precision) == (precision if typed or precision != "fp16" else "fp32")


def test_dla_takes_half_precision_alone() -> None:
    check_dla("fp16")
    for precision in ("fp32", "int8"):
        with pytest.raises(UsageError, match=r"DLA .* choose --precision fp16|DLA"):
            check_dla(precision)
