"""Where the tests find what they read: their own files, and the real weights and images beside the checkout."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
GOLDENS = TESTS / "golden"
SAMPLES = TESTS / "samples"  # what device tools really print; INDEX.md says where each is from
DATA = ROOT.parent / "shared" / "data"  # tests that read it are marked `data`
HOSTED = DATA / "mobilenet_v1_hosted"
IMAGENET = DATA / "imagenet_val"
NO_DATA = "the real weights and images are not beside the checkout"


def sample(name: str) -> str:
    """Return what a device tool printed, without the first line, which says where it is from."""
    return (SAMPLES / name).read_text(encoding="utf-8", errors="replace").partition("\n")[2]
