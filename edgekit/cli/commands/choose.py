"""The command `choose`: which file to ship."""

from __future__ import annotations

from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome


def choose(
    device: Annotated[
        str | None,
        typer.Option("--device", help="Where it will run, as measured.  [default: the only one]", show_default=False),
    ] = None,
    max_latency: Annotated[
        str | None, typer.Option("--max-latency", metavar="TIME", help="Longest median inference: 10ms, 250us, 1s.")
    ] = None,
    min_top1: Annotated[
        str | None, typer.Option("--min-top1", metavar="PERCENT", help="Lowest top-1 accuracy, in percent.")
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option("--max-bytes", metavar="SIZE", help="Largest file: 5MB, 5MiB, 5000000.")
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", metavar="SIZE", help="Highest peak memory: 100MB.")
    ] = None,
    max_drop: Annotated[
        str | None,
        typer.Option("--max-drop", metavar="P", help="Most points of top-1 under the fp32 file of the same network."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME,NAME", help="Only these networks or variants.")
    ] = None,
    format: o.OfFormat = None,
    precision: o.OfPrecision = None,
    runtime: o.OfRuntime = None,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Of latencies with so many threads; needed where there are several.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", help="Of latencies of this batch; needed where there are several.")
    ] = None,
    store: o.Store = None,
    json: o.Json = False,
) -> Outcome:
    """Say which stored file to ship to a device, within limits.

    Of the files that hold every limit the most accurate one leads; among those that its images cannot tell apart from
    it, the quickest is chosen. A limit inside an interval cannot be told, and such a file is not chosen. Where none is
    known to fit, the likely one is named, with what must turn out for it and what to run next.
    Exit code 3: none is known to fit, or the device was away when a sweep was to measure on it. 6: only an invalid
    latency stands in the way of the likely one.

    It answers with the file's path and sha256, and for each file that was passed over with top-1 (%), median latency
    (ms), size, memory and the reason. Times are in us, ms or s; sizes in B, kB, MB, GB, KiB, MiB or GiB.

    \b
    Example:
      edgekit choose
      edgekit choose --device local --max-latency 10ms --min-top1 70 --max-bytes 5MB
      edgekit choose --format tflite --precision int8
    """
    from edgekit.cli.views import choose as views

    result = edgekit.choose(
        device,
        max_latency=max_latency,
        min_top1=min_top1,
        max_bytes=max_bytes,
        max_memory=max_memory,
        max_drop=max_drop,
        model=o.words_or_none(model, "--model"),
        format=o.words_or_none(format, "--format"),
        precision=o.words_or_none(precision, "--precision"),
        runtime=o.words_or_none(runtime, "--runtime"),
        threads=threads,
        batch=batch,
        store=store,
    )
    return Outcome(result.to_json(), views.choose, result.exit_code)
