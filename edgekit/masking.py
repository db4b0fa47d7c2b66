"""Passwords out of what people, logs and pull requests see."""

from __future__ import annotations

import re
from urllib.parse import unquote

# A path swallows one of the two slashes; a password may hold any sign that a URL gives a meaning to.
_IN_TEXT = re.compile(r"(:/{1,2}[^\s:/?@]*):\S*@")
_IN_URL = re.compile(r"(://[^:/?@]*):(.*)@")
_NAMED = re.compile(r"(passw(?:or)?d=)([^\s&'\"]*)", re.IGNORECASE)


def masked(text: str) -> str:
    """The text with `***` for the password of each URL in it."""
    return _NAMED.sub(r"\1***", _IN_TEXT.sub(r"\1:***@", text))


def masked_url(url: str) -> str:
    """The URL with `***` for its password, which may hold anything."""
    return _NAMED.sub(r"\1***", _IN_URL.sub(r"\1:***@", url))


def without_password_of(url: str, text: str) -> str:
    """What a database said of this URL, with `***` for the password, quoted or not."""
    for _, secret in (*_IN_URL.findall(url), *_NAMED.findall(url)):
        for written in filter(None, (secret, unquote(secret))):
            text = text.replace(written, "***")
    return masked(text)
