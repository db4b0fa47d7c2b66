"""Passwords out of what people, logs and pull requests see."""

from __future__ import annotations

import re
from urllib.parse import unquote

# A path swallows one of the two slashes; a password may hold any sign that a URL gives a meaning to. Text may go on
# with an address of somebody behind a web page's URL, and a space ends the password there; behind another it need not.
# Longest of all are tokens of some thousand signs; with no limit, hostile text could take minutes.
_IN_TEXT = re.compile(r"(:/{1,2}[^\s:/?@]*):\S{0,4096}@")
_IN_TEXT_OF_STORE = re.compile(r"(?<!http)(?<!https)(:/{1,2}[^\s:/?@]*):[^@]{0,4096}@(?:\S{0,4096}@)?")
_IN_URL = re.compile(r"(://[^:/?@]*):(.*)@", re.DOTALL)
# Where slashes were forgotten, only the name of a database tells that it was to be a URL.
_BARE = re.compile(
    r"\b((?:postgres(?:ql)?|mysql|mariadb|mssql|oracle)(?:\+\w{1,40})?:/?[^\s:/?@]*):\S{0,4096}@", re.IGNORECASE
)
# As an option of a URL, or in ODBC's own list of them, quoted for a URL or not; the rest of that list goes with it.
_NAMED = re.compile(
    r"((?:passw(?:or)?d|pwd)(?:\s*=\s*|%(?:25)*3D))(\{(?:[^}]|\}\})*\}|(?:(?!%(?:25)*26)[^\s&'\"])*)", re.IGNORECASE
)
_ODBC_END = re.compile(r";|%(?:25)*3B", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return the text with `***` for the password of each URL in it."""
    for form in (_IN_TEXT_OF_STORE, _IN_TEXT, _BARE):
        text = form.sub(r"\1:***@", text)
    return _NAMED.sub(r"\1***", text)


def redacted_url(url: str) -> str:
    """Return the URL with `***` for its password, which may hold anything."""
    return _NAMED.sub(r"\1***", _BARE.sub(r"\1:***@", _IN_URL.sub(r"\1:***@", url)))


def without_password_of(url: str, text: str) -> str:
    """Return what a database said of this URL, with `***` for the password, quoted or not."""
    for _, found in (*_IN_URL.findall(url), *_NAMED.findall(url)):
        for secret in (found, _ODBC_END.split(found)[0]):
            for written in filter(None, (secret, unquote(secret), unquote(secret).strip("{}"))):
                text = text.replace(written, "***")
    return redacted(text)
