"""A folder for what a job writes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .session import MARK


def make_folder(prefix: str) -> Path:
    """Make a folder that goes with the session on a device, or in this machine's place for such without a session.

    This package lies in ROOT/tools/<sha256> on a device, its sessions' folders in ROOT/work.
    """
    session = Path(__file__).resolve().parents[2] / "work" / os.environ.get(MARK, "")
    is_there = MARK in os.environ and session.is_dir()
    return Path(tempfile.mkdtemp(prefix=prefix, dir=str(session) if is_there else None))
