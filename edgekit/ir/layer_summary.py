"""Where a network's memory, parameters and multiply-accumulates sit, in three sentences."""

from __future__ import annotations

from itertools import accumulate

from edgekit.ir.layer_table import LayerRow, LayerTable

MIB = 2**20


def where(table: LayerTable) -> tuple[str, ...]:
    """Return one sentence each on activations, parameters and MACs, as far as there are any."""
    sentences = [_memory(table)] if table.activation_elements else []
    sentences += [_heaviest(table, "parameters", "params")] if table.params else []
    sentences += [_heaviest(table, "MACs", "macs")] if table.macs else []
    return tuple(sentences)


def _memory(table: LayerTable) -> str:
    """Memory lies along the depth: how early half of it is reached says more than the largest layer."""
    rows = [row for row in table.rows if row.activation_elements]
    sums = list(accumulate(row.activation_elements for row in rows))
    half = next(index for index, value in enumerate(sums) if 2 * value >= sums[-1])
    kind, share = next(iter(table.shares("activation_elements").items()))
    return (
        f"Memory: half of the activations are in the first {half + 1} of {len(rows)} tensors, up to {rows[half].name}; "
        f"{100 * share:.2f} % are what {kind} puts out."
    )


def _heaviest(table: LayerTable, word: str, of: str) -> str:
    kind, share = next(iter(table.shares(of).items()))
    largest: LayerRow = max(table.rows, key=lambda row: int(getattr(row, of)))
    own = getattr(largest, of) / sum(getattr(row, of) for row in table.rows)
    return (
        f"{word[0].upper()}{word[1:]}: {kind} has {100 * share:.2f} %; "
        f"the largest layer is {largest.name} ({largest.kind}) with {100 * own:.2f} %."
    )
