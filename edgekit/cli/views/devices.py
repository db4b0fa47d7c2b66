"""What devices and doctor show a person."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, facts, table
from edgekit.util.formatting import UNKNOWN, plain, size


def devices(document: Json, width: int) -> View:
    """Yield a device a line; where one was checked, what was found there."""
    columns = (
        Column("device", lambda row: row["name"], left=True),
        Column("link", lambda row: row["link"], left=True),
        Column("runtimes", lambda row: plain(row["runtimes"]), left=True),
    )
    check, tool = document.get("check"), document.get("tool")
    if tool is not None:
        yield facts([("sha256", tool["sha256"]), ("size", size(tool["bytes"])), ("from", tool["url"])])
        yield f"for devices.yaml: benchmark_model: {tool['path']}"
        yield from (Text(f"another one came before, and is kept: {path}", style="dim") for path in tool["others"])
        return
    if check is None:
        yield from table(columns, document["devices"], width)
        yield Text(f"from {document['file'] or 'the built-in list: there is no devices.yaml'}", style="dim")
        return
    empty: tuple[object, ...] = (None, [], ())
    apart = ("runtimes", "missing", "power_limits")  # the last are dozens, for --json and the record
    shown = ((key, value) for key, value in check.items() if key not in apart and value not in empty)
    yield facts(
        (key.removesuffix("_bytes").replace("_", " "), size(value) if key.endswith("_bytes") else plain(value))
        for key, value in shown
    )
    yield from (f"missing: {line}" for line in check.get("missing", ()))
    for found in check["runtimes"]:
        missing = f"{found['missing']}; {found['remedy']}"
        yield Text(f"{found['name']}: {found['version'] or missing}")


def doctor(document: Json, width: int) -> View:
    """Yield the machine, then what is installed, then how to get what is not."""
    reasons = document["reasons"]
    yield facts(
        (key.removesuffix("_bytes").replace("_", " "), _fact(key, value, reasons))
        for key, value in document["machine"].items()
    )
    yield Text()
    columns = (
        Column("package", lambda row: row["package"], left=True),
        Column("for", lambda row: row["purpose"], left=True),
        Column("version", lambda row: row["version"] or f"missing: {row['install']}", left=True),
    )
    yield from table(columns, document["packages"], width)


def _fact(key: str, value: Any, reasons: Json) -> str:
    if value is None:
        return f"{UNKNOWN} ({reasons[key]})"
    return size(value) if key.endswith("_bytes") else plain(value)
