"""`make attack`: both halves, one after the other. `python -m scripts.attack 3600` takes an hour."""

from __future__ import annotations

import subprocess
import sys

SECONDS = 3600.0
HALVES = ("scripts.attack.input", "scripts.attack.kills")


def main(seconds: float) -> int:
    """Attack with each half for half of the time; 1 where one found something."""
    ended = [subprocess.run([sys.executable, "-m", half, str(seconds / 2)], check=False).returncode for half in HALVES]
    return int(any(ended))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
