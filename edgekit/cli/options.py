"""Options that several commands share, and the small syntaxes that the command line adds: lists, shapes, pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.network.inputs import Input

_OWN = "FILE.py:function, PACKAGE.MODULE:function, FILE.pt2, .onnx, .tflite or .keras"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help=f"A name from `edgekit models`, {_OWN}.",
    ),
]
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help=f"Names from `edgekit models`, {_OWN}.",
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="text|json|csv|md|latex",
        help="How to print it; text is rounded, the others are exact.",
    ),
]
Alpha = Annotated[float | None, typer.Option("--alpha", help="Width multiplier in (0, 1].")]
Resolution = Annotated[int | None, typer.Option("--res", "--imgsz", help="Input height and width in pixels.")]
Classes = Annotated[int | None, typer.Option("--classes", help="Number of classes.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]1,3,224,224",
        help="Input shape of a network of your own; once for each of several inputs.",
    ),
]
NetworkOptions = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An option of the network, e.g. pool=max; repeatable."),
]
OfDevice = Annotated[str | None, typer.Option("--device", help="Only records of this device.")]
OfModel = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Only of this network, variant or file.")]
OfFormat = Annotated[
    str | None, typer.Option("--format", "-f", metavar="F,F", help="Only of files of these formats: tflite, onnx.")
]
OfFileFormat = Annotated[
    str | None, typer.Option("--file-format", metavar="F,F", help="Only of files of these formats: tflite, onnx.")
]
OfPrecision = Annotated[
    str | None, typer.Option("--precision", metavar="P,P", help="Only of files of these precisions: int8, fp32.")
]
OfRuntime = Annotated[
    str | None, typer.Option("--runtime", metavar="R,R", help="Only by these runtimes: litert, onnxruntime.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="Only from 2026-01-31 (UTC), or the last 7d or 24h.")
]
Device = Annotated[str, typer.Option("--device", help="A name from devices.yaml.")]
Devices = Annotated[
    Path | None, typer.Option("--devices", metavar="FILE", help="The devices.yaml to use.", show_default=False)
]
Runtime = Annotated[
    str | None, typer.Option("--runtime", help="onnxruntime, litert, tensorrt, tensorrt_rtx, trtexec, torch or null.")
]
Threads = Annotated[int, typer.Option("--threads", help="Threads that the runtime may use.")]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="quick|default|rigorous",
        help="How long to measure.  [default: default]",
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", help="Exports at once.  [default: one for each processor]", show_default=False)
]
Store = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="Default: $EDGEKIT_STORE, else sqlite:///./edgekit.db."),
]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", metavar="URL", help="Dask's scheduler: tcp://HOST:PORT or tls://HOST:PORT.")
]
TlsCa = Annotated[Path | None, typer.Option("--tls-ca", metavar="FILE", help="Whose certificates are trusted.")]
TlsCert = Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="This machine's certificate.")]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="The key of that certificate.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Leave this machine without TLS: whoever reaches the scheduler runs code.")
]


def words(text: str, option: str) -> tuple[str, ...]:
    """`"onnx,tflite"` as ("onnx", "tflite"), each once. Raises UsageError when there is none."""
    from edgekit.registry import each

    found = each(text, str)
    if not found:
        raise UsageError(f"{option} is empty", f"give one or more names, separated by commas, after {option}")
    return found


def words_or_none(text: str | None, option: str) -> tuple[str, ...] | None:
    """As `words`; None where the option was not given."""
    return None if text is None else words(text, option)


def devices(text: str, option: str) -> list[str | dict[str, tuple[str, ...]]]:
    """`"desktop,pi=pi-1+pi-2"` as ["desktop", {"pi": ("pi-1", "pi-2")}]. Raises UsageError."""
    found: list[str | dict[str, tuple[str, ...]]] = []
    for word in words(text, option):
        name, is_pool, members = word.partition("=")
        several = tuple(one.strip() for one in members.split("+"))
        if is_pool and not (name and all(several)):
            raise UsageError(f"{option} has no pool in '{word}'", f"write, say, {option} pi=pi-1+pi-2")
        found.append({name.strip(): several} if is_pool else word)
    return found


def numbers(text: str, option: str) -> tuple[int, ...]:
    """`"1,3,224,224"` as integers. Raises UsageError for anything else."""
    try:
        return tuple(int(word) for word in words(text, option))
    except ValueError:
        raise UsageError(f"{option} takes whole numbers, not '{text}'", f"write, say, {option} 1,8") from None


def decimals(text: str, option: str) -> tuple[float, ...]:
    """`"1.0,0.5"` as numbers. Raises UsageError for anything else."""
    try:
        return tuple(float(word) for word in words(text, option))
    except ValueError:
        raise UsageError(f"{option} takes numbers, not '{text}'", f"write, say, {option} 1.0,0.5") from None


def inputs(texts: list[str] | None) -> Input:
    """As edgekit.network.inputs.from_texts; None without any."""
    from edgekit.network.inputs import from_texts

    return from_texts(texts) if texts else None


def shapes(texts: list[str] | None) -> dict[str, tuple[int, ...]]:
    """`["x=1,3,224,224"]` as {"x": (1, 3, 224, 224)}; without a name, under ""."""
    from edgekit.network.inputs import shape

    found = {}
    for text in texts or []:
        name, _, sizes = text.rpartition("=")
        found[name] = shape(sizes)
    return found


def pairs(texts: list[str] | None) -> dict[str, str]:
    """`["pool=max"]` as {"pool": "max"}. Raises UsageError where there is no "="."""
    found = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"--option takes NAME=VALUE, not '{text}'", "write, say, --option pool=max")
        found[key] = value
    return found
