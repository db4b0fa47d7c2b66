"""Machines whose devices share a name."""

from __future__ import annotations

from edgekit.records.hosts import host, place, shared
from tests.comparison.records import record


def test_a_name_is_ambiguous_where_it_means_several_machines() -> None:
    pairs = [("local", "a"), ("local", "b"), ("orin", "c"), ("orin", "c"), (None, "d"), (None, "e")]
    assert shared(pairs) == {"local"}
    assert shared([("local", "a"), ("local", None)]) == {"local"}, "an older record may be of another machine"


def test_the_machine_is_named_only_where_it_must_be() -> None:
    assert place("local", "a", frozenset()) == "local" and place(None, "a", frozenset({"local"})) is None
    assert place("local", "a", frozenset({"local"})) == "local a"
    assert place("local", None, frozenset({"local"})) == "local (unknown machine)"


def test_older_records_tell_no_machine() -> None:
    assert host(record()) is None and host(record(found={"host": "3fc95c0b"})) == "3fc95c0b"
