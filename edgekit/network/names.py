"""How a network is named: one of the zoo by its name, the user's own by where it is. Imports no torch."""

from __future__ import annotations

OWN_FILES = (".py", ".pt2")


def is_own_name(model: str) -> bool:
    """Whether the name is FILE.py:function, PACKAGE.MODULE:function or FILE.pt2."""
    return ":" in model or model.endswith(OWN_FILES)
