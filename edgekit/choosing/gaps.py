"""What can leave open whether a file is the one to ship: each kind once, with what would close it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gap:
    """`kind`: what a file has or lacks. The file is the one to ship if the `condition` holds; `remedy` finds out."""

    kind: str
    condition: str
    remedy: str


INVALID_LATENCY = Gap(
    "an invalid latency",
    "its latency holds when it is measured again",
    "run `edgekit bench` on these files again, or the sweep with --continue and its --preset, while the device does "
    "nothing else",
)
NO_LATENCY = Gap("no latency", "it runs there in time", "run `edgekit bench FILE...` on the device")
LATENCY_INSIDE = Gap(
    "a latency too near to its limit",
    "its latency holds the limit when it is measured more narrowly",
    "run `edgekit bench --preset rigorous` on these files, or give another --max-latency",
)
TOP1_INSIDE = Gap(
    "a top-1 too near to its limit",
    "its top-1 holds the limit on more images",
    "run `edgekit eval` on more images, or give another --min-top1",
)
LOSS_INSIDE = Gap(
    "a loss of top-1 too near to its limit",
    "its loss holds the limit on more images",
    "run `edgekit eval` on more images, or give another --max-drop",
)
NO_FLOAT = Gap(
    "no float file to hold them against",
    "it loses little against its float file",
    "run `edgekit eval` of its fp32 file on the same images, or leave --max-drop out",
)
OTHER_IMAGES = Gap(
    "an accuracy on other images than most",
    "it is as accurate on the images of the others",
    "run `edgekit eval` of all files on the same images",
)
UNEVALUATED = Gap("no accuracy", "it is accurate enough", "run `edgekit eval FILE... --data DIR` on labeled images")
UNTRAINED = Gap(
    "random weights",
    "it is accurate with trained weights",
    "export with --weights; the table says already which file is quickest",
)
UNMEASURED = Gap(
    "an unknown size or memory", "it is small enough", "run `edgekit bench` on these files, or leave that limit out"
)
