"""The images of the demo: three parts that do not overlap, prepared as a device sees them."""

from __future__ import annotations

import pytest

from edgekit.data.images import pixel_hash
from edgekit.records.preprocessing import Preprocessing


@pytest.fixture(autouse=True)
def _images() -> None:
    """The digits are sklearn's, which takes a second to import."""
    for name in ("torch", "sklearn"):
        pytest.importorskip(name)


def test_the_parts_are_of_the_stated_size_and_do_not_overlap() -> None:
    from edgekit.demonstration.digits import Digits

    digits = Digits()
    hashes = {part: [pixel_hash(digits.images[index]) for index in chosen] for part, chosen in digits.parts.items()}
    assert {part: len(found) for part, found in hashes.items()} == {"test": 400, "calibration": 100, "train": 1297}
    together = [digest for found in hashes.values() for digest in found]
    assert len(set(together)) == len(together) == 1797
    assert set(digits.classes[digits.parts["test"]]) == set(range(10))


def test_the_split_is_the_same_every_time() -> None:
    from edgekit.demonstration.digits import Digits

    first, again = Digits(), Digits()
    assert all((first.parts[part] == again.parts[part]).all() for part in first.parts)
    assert (first.parts["test"] != Digits(seed=1).parts["test"]).any()


def test_training_sees_what_a_device_will_see() -> None:
    from edgekit.demonstration.digits import Digits

    inputs, classes = Digits().tensors("calibration", Preprocessing(crop_fraction=1.0))
    assert inputs.shape == (100, 3, 32, 32) and classes.shape == (100,)
    assert -1.0 <= float(inputs.min()) < -0.9 and 0.9 < float(inputs.max()) <= 1.0
