"""What is told of a whole network is the same on a terminal, in Python and in a notebook."""

from __future__ import annotations

import html
import io

import pytest

import edgekit
from edgekit.cli.output import Outcome, write
from edgekit.cli.views import network
from edgekit.network.facts import facts_of


@pytest.mark.parametrize("name", ["lenet5", "mobilenet"])
def test_python_shows_the_sums_that_the_command_line_shows(name: str) -> None:
    found = edgekit.summary(name)
    document = found.to_json()
    write(Outcome(document, network.summary), False, stream := io.StringIO())
    printed, told = ("".join(text.split()) for text in (stream.getvalue(), repr(found)))
    facts = [f"{what}{value}".replace(" ", "") for what, value in facts_of(document)]
    assert all(
        one in printed and one in told for one in (*facts, *("".join(line.split()) for line in document["where"]))
    )
    assert html.escape(f"{found.table.macs:,}") in found._repr_html_() and "MACs by kind" in found._repr_html_()
