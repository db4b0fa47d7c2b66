"""Which names of networks are a user's own."""

from __future__ import annotations

import pytest

from edgekit.network.names import called, is_own_name, is_source


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


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("mobilenet", "mobilenet"),
        ("nets/my-net.py:build", "my_net"),
        ("package.module:tiny", "tiny"),
        ("nets/net.v2.onnx", "net_v2"),
    ],
)
def test_a_network_is_called_like_its_file_or_its_function(name: str, file_name: str) -> None:
    assert called(name) == file_name
