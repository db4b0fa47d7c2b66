import pytest
import torch

from edgekit.exporters.int8.level_rounding import level


def some_steps(channels: int, weights: int) -> torch.Tensor:
    drawn = torch.randn(channels, weights, generator=torch.Generator().manual_seed(0))
    return drawn / drawn.abs().amax(1, keepdim=True) * 127


@pytest.mark.parametrize("window", [1, 9])
def test_the_sum_of_a_channel_stays_within_half_a_step(window: int) -> None:
    steps = some_steps(32, 90)
    nearest, found = steps.round(), level(steps, window, 127)
    assert (nearest - steps).sum(1).abs().max() > 2
    assert (found - steps).sum(1).abs().max() <= 0.501
    assert torch.equal(found, found.round())
    assert (found - steps).abs().max() < 1
    assert (found - steps).square().mean() < 1.2 * (nearest - steps).square().mean()


def test_no_integer_passes_the_limit() -> None:
    steps = torch.full((1, 8), 127.4)
    assert level(steps, 4, 127).tolist() == [[127.0] * 8]


def test_integers_stay_as_they_are() -> None:
    steps = some_steps(8, 27).round()
    assert torch.equal(level(steps, 9, 127), steps)


def test_windows_are_levelled_before_channels() -> None:
    steps = torch.tensor([[0.4, 0.4, 0.4, -0.4, -0.4, -0.4]])  # the channel's sum is nothing, each window's one step
    found = level(steps, 3, 127)
    assert found[0, :3].sum() == 1
    assert found[0, 3:].sum() == -1
