"""Which names of networks are a user's own."""

from __future__ import annotations

import pytest

from edgekit.network.names import is_own_name, is_source


@pytest.mark.parametrize(
    ("name", "own", "source"),
    [
        ("mobilenet", False, False),
        ("net.py:build", True, False),
        ("package.module:build", True, False),
        ("net.pt2", True, False),
        ("net.onnx", True, True),
    ],
)
def test_a_network_of_ones_own_is_named_by_where_it_is(name: str, own: bool, source: bool) -> None:
    assert (is_own_name(name), is_source(name)) == (own, source)
