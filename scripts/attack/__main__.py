"""`make attack`: each part in turn. `python -m scripts.attack 3600` takes an hour."""

from __future__ import annotations

import argparse
import subprocess
import sys

SECONDS = 3600.0
PARTS = ("scripts.attack.input", "scripts.attack.kills", "scripts.attack.devices")


def main(seconds: float) -> int:
    """Attack with each part for its share of the time; 1 where one found something."""
    share = str(seconds / len(PARTS))
    ended = [subprocess.run([sys.executable, "-m", part, share], check=False).returncode for part in PARTS]
    return int(any(ended))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m scripts.attack", description=main.__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=SECONDS, help="how long, %(default)g if not said")
    sys.exit(main(parser.parse_args().seconds))
