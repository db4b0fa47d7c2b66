"""The layer table: its conventions, its sums, and what it cannot count."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

import edgekit
from edgekit.frontend.tracer import trace
from edgekit.ir.layer_table import LayerTable, table


def counted(network: nn.Module, shape: tuple[int, ...]) -> LayerTable:
    with torch.device("meta"):
        return table(trace(network.to("meta").eval(), shape))


class Moved(nn.Module):
    def __init__(self, move: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.move = move

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.move(x)


def test_macs_count_neither_bias_nor_normalization() -> None:
    found = counted(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)), (1, 3, 10, 10))
    assert found.macs == 8 * 100 * 27
    assert found.params == 8 * 27 + 8 + 16


def test_the_waves_of_a_transform_compute_and_are_no_parameters() -> None:
    found = counted(Moved(lambda x: torch.fft.rfft(x).abs()), (1, 3, 8))
    assert (found.macs, found.params) == (2 * 3 * 5 * 8, 0)


def test_groups_and_transposed_convolutions() -> None:
    assert counted(nn.Conv2d(8, 8, 3, groups=8), (1, 8, 10, 10)).macs == 8 * 64 * 9
    # each input element meets every weight of its channel once
    assert counted(nn.ConvTranspose2d(4, 6, 3, 2), (1, 4, 5, 5)).macs == 4 * 25 * 6 * 9


def test_activation_elements_are_those_of_stored_outputs() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 5), nn.Softmax(1)
    )
    assert counted(network, (1, 3, 4, 4)).activation_elements == 48 + 64 + 16 + 5


def test_a_concatenation_of_one_tensor_is_that_tensor() -> None:
    one, two = Moved(lambda x: torch.cat([torch.tanh(x)], 1)), Moved(lambda x: torch.cat([x, x], 1))
    assert counted(one, (1, 4, 8, 8)).activation_elements == 256
    assert counted(two, (1, 4, 8, 8)).activation_elements == 256 + 512


def test_the_receptive_field_of_three_3x3_is_that_of_a_7x7() -> None:
    three = counted(nn.Sequential(*[nn.Conv2d(2, 2, 3) for _ in range(3)]), (1, 2, 20, 20))
    one = counted(nn.Conv2d(2, 2, 7), (1, 2, 20, 20))
    assert three.rows[-1].receptive_field == one.rows[-1].receptive_field == 7


def test_strides_and_dilation_widen_the_receptive_field() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 3, 2), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, dilation=2))
    assert [row.receptive_field for row in counted(network, (1, 1, 40, 40)).rows] == [1, 3, 5, 21]


def seen(*layers: nn.Module, size: int = 64) -> list[int | None]:
    return [row.receptive_field for row in counted(nn.Sequential(*layers), (1, 4, size, size)).rows]


def test_an_adaptive_pool_sees_its_windows_and_what_follows_no_more_than_everything() -> None:
    # 16 to 7: windows of up to 4, whose elements are 4 pixels apart
    layers = (nn.Conv2d(4, 4, 4, 4), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(196, 3))
    assert seen(*layers) == [1, 4, 4 + 3 * 4, 64, 64]
    assert seen(nn.Conv2d(4, 4, 4, 4), nn.AdaptiveAvgPool2d(8), nn.Conv2d(4, 4, 3)) == [1, 4, 8, 24]
    assert seen(nn.Conv2d(4, 4, 4, 4), nn.AdaptiveMaxPool2d(1)) == [1, 4, 64]


def test_the_classifier_of_vgg_sees_the_whole_of_a_larger_image() -> None:
    rows = {row["name"]: row["receptive_field"] for row in edgekit.summary("vgg16", res=256).to_json()["layers"]}
    assert (rows["avgpool"], rows["classifier.0"]) == (244, 436)


def test_what_only_moves_channels_sees_no_more() -> None:
    shuffle = Moved(lambda x: x.view(1, 2, 2, 32, 32).transpose(1, 2).reshape(1, 4, 32, 32))
    assert seen(nn.Conv2d(4, 4, 3, 2, 1), shuffle, nn.Conv2d(4, 4, 3, 2, 1)) == [1, 3, 3, 3, 3, 7]
    assert seen(nn.Conv2d(4, 4, 3), Moved(lambda x: x.mean(1, keepdim=True)))[-1] == 3
    assert seen(nn.Conv2d(4, 4, 3), Moved(lambda x: x.mean((2, 3))))[-1] == 64


def test_sums_are_the_sums_of_the_rows_and_shares_add_to_one() -> None:
    found = counted(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, groups=4)), (1, 3, 9, 9))
    assert found.macs == sum(row.macs for row in found.rows)
    assert set(found.shares("macs")) == {"conv 3x3", "conv 1x1", "depthwise 3x3"}
    assert abs(sum(found.shares("macs").values()) - 1) < 1e-12


def test_a_shared_weight_counts_once() -> None:
    conv = nn.Conv2d(3, 3, 1)
    assert counted(nn.Sequential(conv, conv), (1, 3, 4, 4)).params == 12


def test_what_cannot_be_counted_is_named() -> None:
    found = counted(nn.Sequential(nn.Conv2d(3, 4, 1), Moved(torch.digamma)), (1, 3, 4, 4))
    assert found.uncounted == ("1.digamma: digamma",)
    assert found.params == 16


def test_a_network_of_vgg_size_needs_no_memory_for_weights() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Flatten(), nn.Linear(25088, 4096), nn.Linear(4096, 4096)).eval()
        assert table(trace(network, (1, 512, 7, 7))).params == 25088 * 4096 + 4096 + 4096 * 4096 + 4096


def test_products_of_computed_matrices_and_recurrent_layers_count() -> None:
    assert counted(Moved(lambda x: x @ x.mT), (2, 3, 5)).macs == 2 * 3 * 3 * 5
    assert counted(Moved(lambda x: nn.functional.conv2d(x, x)), (1, 3, 5, 5)).macs == 3 * 5 * 5

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.lstm(x)[0]
            return y

    assert counted(Last(), (7, 1, 4)).macs == 7 * 4 * 6 * (4 + 6)


def test_the_receptive_field_stops_nothing() -> None:
    for move in (
        lambda x: x[:, 0].unsqueeze(1),
        lambda x: x.mean((2, 3)).unsqueeze(1).sum(1),
        lambda x: x.reshape(1, 2, 2, 8, 8).sum(2),
        lambda x: x.unfold(2, 2, 2).amax(-1),
        lambda x: torch.ones(1, 4, 8, 8) @ x,
        lambda x: x.flatten(2) @ x.flatten(2).mT,
    ):
        assert counted(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), Moved(move)), (1, 4, 8, 8)).rows[-1]
