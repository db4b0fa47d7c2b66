"""The verb `compare`: whether files became slower, or worse in another way, with the noise in view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from edgekit.comparison.checks import checks, unheld
from edgekit.comparison.evaluated import accuracies
from edgekit.comparison.limits import limits
from edgekit.comparison.matching import Pairs, pairs
from edgekit.comparison.result import ADDED, INVALID, MEASURED, MISSING, NOT_COMPARABLE, CompareResult, Row
from edgekit.comparison.selection import Selection, nothing_of, select
from edgekit.errors import UsageError
from edgekit.measure.pair import compared, medians
from edgekit.records import hosts
from edgekit.records.conditions import fact, gpu, instructions, load, run_conditions
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.records.reasons import causes
from edgekit.records.summary import subject
from edgekit.redact import redacted_url
from edgekit.stats.medians import NS_PER_MS
from edgekit.stats.ratio import CANNOT_TELL
from edgekit.storage.store import open_store
from edgekit.util.files import write_atomically
from edgekit.util.formatting import counted, some

Namer = Callable[[Measurement], str]
ONE = "both sides are this one measurement"
# Facts that must agree beside the run conditions: a number of another machine is another number.
SAME_FACTS: dict[str, Callable[[Measurement], Any]] = {
    "machine": lambda record: fact(record, "machine"),
    "processor": lambda record: fact(record, "processor"),
    "model": lambda record: fact(record, "model"),
    "gpu": gpu,
}


def compare(
    base: str | Path,
    new: str | Path,
    *,
    max_slowdown: str | float | None = None,
    max_drop: str | float | None = None,
    max_growth: str | float | None = None,
    max_memory_growth: str | float | None = None,
    strict: bool = False,
    junit: str | Path | None = None,
    store: str | None = None,
) -> CompareResult:
    """Compare the stored latencies of `new` with those of `base`, file by file, and hold other limits.

    Each is `latest`, `latest~1` (bench commands and sweeps, counted back), the id of a measurement or of a command, a
    file that was measured, another store, or a JSON file that `store export` wrote. They are matched by variant,
    precision, format and run conditions (edgekit.records.conditions); two files by the last.

    `max_slowdown`, `max_growth` (of the file) and `max_memory_growth` (of the peak) are fractions, or text such as
    "5%". A slowdown of 5 % is held where none is given; "none" leaves latency out. `max_drop` is in points of top-1,
    image by image, from the last stored accuracies of the same bytes. `junit` is written as XML. Raises UsageError
    where a side names nothing, where nothing of the base was measured or evaluated, or where several files of one
    variant leave it open which belongs to which (edgekit.comparison.matching).
    """
    wanted = limits(max_slowdown, max_drop, max_growth, max_memory_growth)
    database = open_store(store)
    before, after = (select(str(word), database, not wanted.is_of_files) for word in (base, new))
    of_files = before.is_file and after.is_file
    measured = pairs(before.measurements, after.measurements, not of_files)
    sides = (accuracies(before), accuracies(after)) if wanted.is_of_files else ((), ())
    if not before.measurements and not sides[0]:
        raise nothing_of(before)
    evaluated = pairs(*sides, not of_files)
    if before.is_store and after.is_store and not before.measurements:
        _check_two_evaluations(evaluated)
    name = _namer(before.measurements, after.measurements)
    unchanged = None not in (before.sha256, after.sha256)
    if wanted.slowdown is None:
        _check_two(measured, unchanged, name)
        rows: tuple[Row, ...] = ()
    else:
        rows = tuple(_rows(measured, (before, after), wanted.slowdown, unchanged, name))
    held = tuple(checks(measured, evaluated, wanted, name))
    held = (*unheld(rows, held, wanted), *held)
    result = CompareResult(redacted_url(str(base)), redacted_url(str(new)), wanted, strict, rows, held)
    if junit is not None:
        write_atomically(Path(junit), result.to_junit().encode())
    return result


def _rows(
    matched: Pairs[Measurement], sides: tuple[Selection, Selection], margin: float, unchanged: bool, name: Namer
) -> Iterator[Row]:
    """`unchanged`: both sides are files by their bytes, so that the same measurement is a true answer."""
    for one, two in matched:
        if two is not None and two.id == one.id and not unchanged:
            yield _itself(one, name)
        else:
            row = _row(one, two, margin, name)
            yield replace(row, reason=_invalid((one, two), sides)) if row.status == INVALID and two else row
    taken = {two.id for _, two in matched if two is not None}
    yield from (_added(two, name) for two in sides[1].measurements if two.id not in taken)


def _invalid(pair: tuple[Measurement, Measurement], sides: tuple[Selection, Selection]) -> str:
    """Whose measurement is invalid and why: one of the base stays so until the base itself is measured again."""
    told = []
    for record, side, whose, what in zip(pair, sides, ("base", "new side"), ("the base", "it"), strict=True):
        if record.verdict == INVALID:
            why, again = causes(INVALID, record.reasons), f"measure {what} again"
            why = why.replace("measure again", again) if "measure again" in why else f"{why}; {again}"
            told.append(f"the {whose} ({redacted_url(side.word)}): {why}")
    return "; ".join(told)


def _check_two(matched: Pairs[Measurement], unchanged: bool, name: Namer) -> None:
    """Without rows of latencies, which tell it, refuse to hold one measurement's size and memory against themselves."""
    itself = next((one for one, two in matched if two is not None and two.id == one.id and not unchanged), None)
    if itself is not None:
        raise UsageError(f"{name(itself)}: {ONE}", "name a measurement of the base, and one of the new build")


def _check_two_evaluations(matched: Pairs[Accuracy]) -> None:
    """Refuse two stores that were only evaluated and hold the same evaluations: they would pass every gate."""
    if matched and all(new is not None and new.id == base.id for base, new in matched):
        raise UsageError(
            f"both sides hold the same evaluations, of {some([base.artifact for base, _ in matched])}",
            "name the store of the base, and that of the new build",
        )


def _itself(one: Measurement, name: Namer) -> Row:
    """A number that is compared with itself tells nothing, and would pass every gate."""
    values: dict[str, Any] = {"base": one.id, "new": one.id, "base_ms": _ms(one), "new_ms": _ms(one)}
    return Row(name=name(one), **values, verdict=NOT_COMPARABLE, reason=ONE, status=MEASURED)


def _row(base: Measurement, new: Measurement | None, margin: float, name: Namer) -> Row:
    values: dict[str, Any] = {"name": name(base), "base": base.id, "base_ms": _ms(base)}
    if new is None:
        reason = "missing: the base has this cell and the new side does not"
        return Row(**values, verdict=CANNOT_TELL, reason=reason, status=MISSING)
    values |= {"new": new.id, "new_ms": _ms(new)}
    if subject(base) != subject(new):
        other = new.artifact if run_conditions(base) == run_conditions(new) else name(new)
        values["name"] = f"{other} against {name(base)}"
    differences = list(_differences(base, new))
    if differences:
        return Row(**values, verdict=NOT_COMPARABLE, reason="; ".join(differences), status=MEASURED)
    return Row(**values, **compared(base, new, margin))


def _added(new: Measurement, name: Namer) -> Row:
    reason = "the base does not have this cell"
    return Row(name=name(new), new=new.id, new_ms=_ms(new), verdict=CANNOT_TELL, reason=reason, status=ADDED)


def _differences(base: Measurement, new: Measurement) -> Iterator[str]:
    """Why two numbers must not be compared, a difference each; nothing where they may."""
    one, two = asdict(run_conditions(base)), asdict(run_conditions(new))
    if None in (one["host"], two["host"]):  # an older record: its processor must do
        one["host"] = two["host"]
    yield from (f"{key} {one[key]} and {two[key]}" for key in one if one[key] != two[key])
    facts = ((key, told(base), told(new)) for key, told in SAME_FACTS.items())
    yield from (f"{key} {a} and {b}" for key, a, b in facts if a != b)
    kernels = [instructions(record) for record in (base, new)]
    if kernels[0] != kernels[1] and None not in kernels:  # older records do not tell them
        yield "instructions {} and {}".format(*kernels)
    versions = [str(record.found.get("runtime_version")) for record in (base, new)]
    if versions[0].partition(".")[0] != versions[1].partition(".")[0]:
        yield f"{base.runtime} {versions[0]} and {versions[1]}"


def _namer(base: Sequence[Measurement], new: Sequence[Measurement]) -> Namer:
    """What names a row of these records.

    The host too, where several share a device's name, and the bytes of a file where several on one side share all that.
    """
    ambiguous = hosts.shared((record.device, hosts.host(record)) for record in (*base, *new))

    def plain(record: Measurement) -> str:
        where = run_conditions(record)
        place = where.place(ambiguous)
        told = f"{record.artifact} on {place}, {where.runtime}, {counted(where.threads, 'thread')}, batch {where.batch}"
        return ", ".join(filter(None, (told, where.sizes, load(where.sustained_seconds))))

    sides = [Counter(map(plain, side)) for side in (base, new)]

    def name(record: Measurement) -> str:
        told = plain(record)
        is_one = all(side[told] <= 1 for side in sides)
        return told if is_one else f"{told} (sha256 {record.sha256[:8]})"

    return name


def _ms(record: Measurement) -> float:
    return median(medians(record)) / NS_PER_MS
