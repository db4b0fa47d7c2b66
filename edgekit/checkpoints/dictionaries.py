"""Which tensors of a checkpoint are the network's: the dictionary and the prefix under which its names are.

Training scripts put weights into dictionaries beside others (`state_dict`, `state_dict_ema`) and modules into wrappers
(DataParallel's `module.`, torch.compile's `_orig_mod.`, Lightning's `model.`). Of all dictionaries and prefixes, those
are meant that have most of the network's names. Where several have as many, averaged weights come first, because that
is what their training scripts evaluate.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from edgekit.checkpoints.file import COUNTER
from edgekit.checkpoints.pickled import Unread, refuse_unread
from edgekit.errors import UsageError

KNOWN = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
AVERAGED = frozenset(["ema", "swa", "averaged"])  # as a word of a key
_AVERAGE_COUNTER = "n_averaged"  # how many torch's AveragedModel has seen, beside the weights
_WRAPPERS = re.compile(r"(^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.)")
_PARALLEL = re.compile(r"(^|\.)module(?=\.)")  # DataParallel, somewhere within
_PREFIXES = ("module.", "model.", "net.", "network.")
_DEEPEST = 3
_SAVE = "save model.state_dict() in it"


@dataclass(frozen=True)
class _Candidate:
    """Tensors under the names that the network may have. `key` leads to the dictionary, `prefix` stood before them."""

    key: str
    prefix: str
    tensors: Mapping[str, Tensor]
    left: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"{self.key} ({self.prefix})" if self.key and self.prefix else self.key or self.prefix or "its top"

    @property
    def is_averaged(self) -> bool:
        return not AVERAGED.isdisjoint(re.split(r"[._]", f"{self.key}.{self.prefix}".lower()))

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """Lower is meant rather."""
        first = self.key.partition(".")[0]
        known = KNOWN.index(first) if first in KNOWN else len(KNOWN) * bool(self.key)
        return not self.is_averaged, known, bool(self.prefix)


def chosen(path: Path, content: Any, wanted: Collection[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors under the network's names, and notes on what was chosen where there was a choice.

    `wanted` are the names of the network's tensors. Raises UsageError for what holds no tensors, or several networks.
    """
    found = dict(_dictionaries(content))
    if not found:
        raise _without_tensors(path, content)
    candidates = [one for key, tensors in found.items() for one in _named(key, tensors, wanted)]
    covered = {id(one): sum(name in one.tensors for name in wanted) for one in candidates}
    most = max(covered.values())
    fitting = sorted((one for one in candidates if covered[id(one)] == most), key=lambda one: one.rank)
    if most and len(fitting) > 1 and fitting[0].rank == fitting[1].rank:
        raise UsageError(
            f"{path.name} holds this network {len(fitting)} times: {', '.join(one.where for one in fitting[:4])}",
            "save one of them alone with torch.save",
        )
    return dict(fitting[0].tensors), tuple(_notes(path, fitting[0], fitting[1:], found))


def _dictionaries(content: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Every dictionary of tensors alone, by the keys that lead to it."""
    if not isinstance(content, Mapping) or not content:
        return
    if all(isinstance(value, Tensor) and not value.is_nested for value in content.values()):
        if keys[:1] not in (("optimizer",), ("optimizers",)):
            yield ".".join(keys), {str(name): tensor for name, tensor in content.items()}
    elif len(keys) < _DEEPEST:
        for key, value in content.items():
            yield from _dictionaries(value, (*keys, str(key)))


def _named(key: str, tensors: Mapping[str, Tensor], wanted: Collection[str]) -> Iterator[_Candidate]:
    """The tensors under each prefix that leads to names of the network; under the usual one where none does."""
    names = {name: _WRAPPERS.sub("", name).removeprefix(".") for name in tensors}
    inner = {name: _PARALLEL.sub("", short).removeprefix(".") for name, short in names.items()}
    if len({*inner.values()} & {*wanted}) > len({*names.values()} & {*wanted}):
        names = inner
    shortened = {names[name]: tensor for name, tensor in tensors.items()}
    prefixes = Counter(start for name in shortened for start, rest in _splits(name) if rest in wanted)
    best = max(prefixes.values(), default=0)
    told = [prefix for prefix, count in prefixes.items() if count == best]
    for prefix in [""] if "" in told else told or [_usual(shortened)]:
        yield _under(key, prefix, shortened)


def _under(key: str, prefix: str, tensors: Mapping[str, Tensor]) -> _Candidate:
    own = {name: tensor for name, tensor in tensors.items() if name != _AVERAGE_COUNTER}
    kept = {name.removeprefix(prefix): tensor for name, tensor in own.items() if name.startswith(prefix)}
    left = [name for name in own if not name.startswith(prefix)]
    return _Candidate(key, prefix, kept, tuple(left))


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """A name as prefix and rest, at each dot."""
    yield "", name
    for dot in re.finditer(r"\.", name):
        yield name[: dot.end()], name[dot.end() :]


def _usual(tensors: Mapping[str, Tensor]) -> str:
    rest = [name for name in tensors if name != _AVERAGE_COUNTER]
    return next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in rest)), "")


def _notes(
    path: Path, taken: _Candidate, others: list[_Candidate], found: Mapping[str, Mapping[str, Tensor]]
) -> Iterator[str]:
    if others:
        also = ", ".join(one.where for one in others)
        why = " (averaged weights, which training scripts evaluate)" if taken.is_averaged else ""
        yield f"{path.name} holds this network in {taken.where} and in {also}: {taken.where} is taken{why}"
    elif not taken.is_averaged and any(_Candidate(key, "", {}, ()).is_averaged for key in found if key != taken.key):
        yield f"{path.name} holds averaged weights that lack tensors of the network: {taken.where} is taken"
    also_there = tuple(one.prefix for one in others if one.key == taken.key)
    left = [name for name in taken.left if not name.endswith(COUNTER) and not name.startswith(also_there)]
    if left:
        more = ", ..." if len(left) > 3 else ""
        yield f"{path.name}: what is not below '{taken.prefix}' is left out ({', '.join(left[:3])}{more})"


def _without_tensors(path: Path, content: Any) -> UsageError:
    if isinstance(content, Unread):
        return refuse_unread(path, "a whole module", content)
    if not isinstance(content, Mapping) or not content:
        return UsageError(f"{path.name} holds {type(content).__name__}, not named tensors", _SAVE)
    for key in (*(key for key in content if key in KNOWN or AVERAGED & {*str(key).split("_")}), *content):
        if isinstance(content[key], Unread):
            return refuse_unread(path, f"an object as '{key}'", content[key])
    strange = next(key for key, value in content.items() if not isinstance(value, Tensor) or value.is_nested)
    return UsageError(f"{path.name} holds something other than tensors, first '{strange}'", _SAVE)
