"""The head of a report's page: which file to ship, as HTML. Every value goes through `html.escape`."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence

from edgekit.choosing.decide import Decision
from edgekit.choosing.result import CHOSEN, Candidate
from edgekit.reporting.answer import Answer, named
from edgekit.reporting.rows import Row
from edgekit.util.formatting import DASH, counted, fixed, milliseconds, percent

MAX_ANSWERS = 6
MAX_OPEN = 8  # candidates that are shown where none can be named


def answers_html(answers: Sequence[Answer]) -> str:
    """Return a card for each answer."""
    cards = "".join(_card(one) for one in answers[:MAX_ANSWERS])
    more = len(answers) - MAX_ANSWERS
    rest = f'<p class="soft">{more} more settings: write a report of one with --device.</p>' if more > 0 else ""
    section = f'<section class="answers" aria-label="Which file to ship">{cards}</section>{rest}' if cards else ""
    return f"{_in_short(answers[:MAX_ANSWERS])}{section}"


def _in_short(answers: Sequence[Answer]) -> str:
    """A line for each answer, shown where their cards do not fit into one screen; nothing of a single one."""
    if len(answers) < 2:
        return ""
    lines = "".join(f"<li>{_line_of(one)}</li>" for one in answers)
    crowd = " crowd" if len(answers) > 2 else ""
    return f'<ul class="inshort{crowd}" aria-label="Which file to ship, in short">{lines}</ul>'


def _line_of(answer: Answer) -> str:
    where, chosen = html.escape(answer.setting or "any device"), answer.decision.chosen
    if chosen:
        return f"Ship to {where}: <b>{_breakable(chosen.row.artifact)}</b>"
    return f"For {where} none can be named yet{_perhaps(answer.decision)}"


def _perhaps(decision: Decision) -> str:
    """The likely file; where there is none, why."""
    one = decision.provisional
    if one is None:
        return f": {with_code(decision.reason)}"
    top1 = f" (top-1 {_with_unit(one.row.top1, percent, '%')})" if decision.beside_best else ""
    return f", likely <b>{_breakable(one.row.artifact)}</b>{top1}"


def _card(answer: Answer) -> str:
    chosen = answer.decision.chosen
    where = html.escape(answer.setting or "any device")
    if chosen is None:
        said = _sentence(answer.decision.reason)
        todo = f"<p><b>What to do:</b> {_sentence(answer.decision.remedy)}</p>" if answer.decision.remedy else ""
        head = f'<p class="where">For {where}</p><h2>No file can be named yet</h2>'
        body = f"{head}{_likely(answer.decision)}{_by_format(answer)}<p>{said}</p>{todo}"
        known = _candidates(answer.decision.others)
        return f'<article class="answer undecided"><div>{body}</div>{known}</article>'
    pick = f'<div><p class="where">Ship to {where}</p>{_file(chosen, answer)}</div>'
    return f'<article class="answer">{pick}{_quicker(answer)}</article>'


def _likely(decision: Decision) -> str:
    """The file that it would be, and under which condition."""
    one = decision.provisional
    if one is None:
        return ""
    but = f"; but {decision.beside_best}" if decision.beside_best else ""
    condition = html.escape(f"{one.condition or ''}{but}")
    told = f"<p>Likely <b>{_breakable(one.row.artifact)}</b>: ship it if {condition}.</p>"
    return f'{told}<p class="path">{_place(one.row)}sha256 <code>{html.escape(one.row.sha256)}</code></p>{_lost(one)}'


def _file(chosen: Candidate, answer: Answer) -> str:
    row = chosen.row
    notes = "".join(f'<p class="note">{_sentence(note)}</p>' for note in answer.notes)
    return (
        f'<h2 class="file">{_breakable(row.artifact)}</h2>'
        f'<p class="path">{_place(row)}sha256 <code>{html.escape(row.sha256)}</code></p>'
        f"<p>{_sentence(answer.decision.reason)}</p>{_figures(row)}{_lost(chosen)}{_by_format(answer)}{notes}"
    )


def _lost(one: Candidate) -> str:
    """What the file lost against its own float file."""
    return f"<p>{_sentence(one.loss.told)}</p>" if one.loss else ""


def _by_format(answer: Answer) -> str:
    """The file to ship of each other format, for an app that takes only that."""
    return "".join(f"<p>{_of_format(*one)}.</p>" for one in answer.by_format)


def _of_format(format: str, decision: Decision) -> str:
    one = named(decision)
    if one is None:
        return f"Of {html.escape(format)} files none can be named yet"
    row, likely = one.row, "" if decision.chosen else "likely "
    known = (f"top-1 {_with_unit(row.top1, percent, '%')}", _with_unit(row.median_ms, milliseconds, "ms"))
    numbers = ", ".join((*known, row.verdict))
    return f"Of {html.escape(format)} files {likely}<b>{_breakable(row.artifact)}</b> ({html.escape(numbers)})"


def _place(row: Row) -> str:
    return f"<code>{html.escape(row.path)}</code> " if row.path and row.path != row.artifact else ""


def with_code(text: str) -> str:
    """Return a text as HTML; a command between backticks is set as one."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(text))


def _sentence(text: str) -> str:
    """The text as a sentence of HTML."""
    return with_code(f"{text[:1].upper()}{text[1:]}.")


def _breakable(name: str) -> str:
    """A file's name that may go on in the next line behind a mark."""
    return re.sub("([_./-])", r"\1<wbr>", html.escape(name))


def _figures(row: Row) -> str:
    images = f"{row.images:,} images of {row.dataset}" if row.images else row.missing.get("top1", "")
    runner = ", ".join(filter(None, (row.runtime, row.way, row.verdict)))
    figures = (
        ("Top-1", _with_unit(row.top1, percent, "%"), f"{_range(row.top1_ci95, percent)} · {images}"),
        ("Latency", _with_unit(row.median_ms, milliseconds, "ms"), f"{_range(row.ci95_ms, milliseconds)} · {runner}"),
        ("File", _with_unit(row.bytes, _mega, "MB"), f"{row.format} {row.precision or ''}"),
        ("Memory", _with_unit(row.peak_memory_bytes, _mega, "MB"), "peak"),
    )
    shown = (
        f"<div><dt>{name}</dt><dd><b>{html.escape(value)}</b><small>{html.escape(about)}</small></dd></div>"
        for name, value, about in figures
        if value != DASH
    )
    return f'<dl class="figures">{"".join(shown)}</dl>'


def _with_unit(value: float | None, show: Callable[[float], str], unit: str) -> str:
    return DASH if value is None else f"{show(value)} {unit}"


def _range(bounds: tuple[float, float] | None, show: Callable[[float], str]) -> str:
    if not bounds:
        return "no interval"
    return "no spread" if bounds[0] == bounds[1] else f"95 % {show(bounds[0])} to {show(bounds[1])}"


def _mega(value: float) -> str:
    return fixed(value / 1e6, 2)


def _quicker(answer: Answer) -> str:
    if not answer.quicker:
        return ""
    lines = (
        (row.artifact, _with_unit(row.median_ms, milliseconds, "ms"), _top1(row), _with_unit(row.bytes, _mega, "MB"))
        for row in answer.quicker
    )
    return _table("If that is too slow", ("File", "Latency", "Top-1", "Size"), lines)


def _candidates(others: Sequence[Candidate]) -> str:
    """What is known of those that are open: it teaches even where no latency counts."""
    files = {one.row.sha256: one.row for one in others if one.status != CHOSEN}
    lines = [
        (
            row.artifact,
            _top1(row),
            _with_unit(row.bytes, _mega, "MB"),
            _with_unit(row.macs, _mega, "M"),
            f"{milliseconds(row.median_ms)} ms ({row.verdict})" if row.median_ms is not None else DASH,
        )
        for row in list(files.values())[:MAX_OPEN]
    ]
    more = len(files) - MAX_OPEN
    title = "What is known" + (f" ({counted(more, 'more file')} in the table below)" if more > 0 else "")
    return _table(title, ("File", "Top-1", "Size", "MACs", "Latency"), lines) if lines else ""


def _top1(row: Row) -> str:
    if row.top1 is None:
        return DASH
    interval = f" ({percent(row.top1_ci95[0])} to {percent(row.top1_ci95[1])})" if row.top1_ci95 else ""
    return f"{percent(row.top1)} %{interval}"


def _table(title: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    first, *others = heads
    head = f'<th scope="col">{first}</th>' + "".join(f'<th scope="col" class="number">{name}</th>' for name in others)
    body = "".join(_line(line) for line in lines)
    return f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _line(values: Sequence[str]) -> str:
    cells = "".join(f'<td class="number">{_small(html.escape(one))}</td>' for one in values[1:])
    return f'<tr><th scope="row">{_breakable(values[0])}</th>{cells}</tr>'


def _small(text: str) -> str:
    """What stands in brackets, below in small."""
    main, bracket, rest = text.partition(" (")
    return f"{main}<small>{rest.removesuffix(')')}</small>" if bracket else main
