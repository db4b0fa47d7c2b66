"""A Jetson's power rails as its kernel tells them (INA3221 and INA238 monitors in sysfs), by the names on the board.

Better than tegrastats for power: no second program runs beside what is measured, and each reading is one moment.
JetPack 5 and later have hwmon folders with millivolts and milliamperes, JetPack 4 has iio folders with milliwatts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from .kernel_files import text

SYS = Path("/sys")
HWMON = "bus/i2c/drivers/ina3221/*/hwmon/hwmon*"
SINGLE = "bus/i2c/drivers/ina238/*/hwmon/hwmon*"  # Thor's whole board; in1 is the bus, in0 the shunt
IIO = "bus/i2c/drivers/ina3221x/*/iio:device*"
CHANNELS = (1, 2, 3)  # of hwmon; 7 is the sum of the shunts. iio counts from 0.
NUMBER = re.compile(r"-?[0-9]{1,15}", re.ASCII)


class Rail(NamedTuple):
    """A rail's name and the files whose product is its power: millivolts and milliamperes, or milliwatts alone."""

    name: str
    files: tuple[Path, ...]


def find(root: Path = SYS) -> list[Rail]:
    """Return the rails of this board that are connected, each once."""
    found: dict[str, Rail] = {}
    for folder in sorted(root.glob(HWMON)):
        for channel in CHANNELS:
            files = (folder / f"in{channel}_input", folder / f"curr{channel}_input")
            _add(found, folder / f"in{channel}_label", files)
    for folder in sorted(root.glob(SINGLE)):
        label = next((folder / name for name in ("in1_label", "label") if (folder / name).is_file()), folder / "label")
        _add(found, label, (folder / "in1_input", folder / "curr1_input"))
    for folder in sorted(root.glob(IIO)):
        for channel in range(len(CHANNELS)):
            _add(found, folder / f"rail_name_{channel}", (folder / f"in_power{channel}_input",))
    return list(found.values())


def _add(found: dict[str, Rail], label: Path, files: tuple[Path, ...]) -> None:
    name = text(label)
    if name and name != "NC" and all(path.is_file() for path in files):  # NC: not connected
        found.setdefault(name, Rail(name, files))


def read(rails: list[Rail]) -> dict[str, float]:
    """Milliwatts by rail at this moment, of those that answer."""
    powers = {rail.name: power([text(path) for path in rail.files]) for rail in rails}
    return {name: value for name, value in powers.items() if value is not None}


def power(texts: list[str | None]) -> float | None:
    """Milliwatts from the texts of a rail's files; None unless each holds one whole number and nothing else."""
    if not texts or not all(text is not None and NUMBER.fullmatch(text) for text in texts):
        return None
    values = [int(str(text)) for text in texts]
    return float(values[0]) if len(values) == 1 else values[0] * values[1] / 1000
