"""`make attack`: both halves, one after the other. `python -m scripts.attack 3600` takes an hour."""

from __future__ import annotations

import argparse
import subprocess
import sys

SECONDS = 3600.0
HALVES = ("scripts.attack.input", "scripts.attack.kills")


def main(seconds: float) -> int:
    """Attack with each half for half of the time; 1 where one found something."""
    ended = [subprocess.run([sys.executable, "-m", half, str(seconds / 2)], check=False).returncode for half in HALVES]
    return int(any(ended))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m scripts.attack", description=main.__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=SECONDS, help="how long, %(default)g if not said")
    sys.exit(main(parser.parse_args().seconds))
