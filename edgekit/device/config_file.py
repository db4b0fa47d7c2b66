"""Reading devices.yaml: every mistake is told with its line and, for a misspelt word, the nearest one."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import ValidationError

from edgekit.device.config import KINDS, ONE, AnyDevice
from edgekit.errors import UsageError, closest, nearest
from edgekit.records.runtime import RUNTIMES
from edgekit.util import yaml_text
from edgekit.util.formatting import escaped
from edgekit.util.yaml_text import YamlError, line_of

_SHAPE = "write `devices:` and below it `<name>: {link: local, runtimes: [onnxruntime]}`"
_STORE = "take it out: devices have no store; name it with --store URL, or in $EDGEKIT_STORE"
_NULLS = ("", "~", "null", "Null", "NULL")
_SECRETS = ("token", "pin", "pass")
_SECRET_PARTS = ("password", "passwd", "passphrase", "secret", "_pass", "sshpass")  # anywhere in a key
_KEYS_NOT_PASSWORDS = "remove it: edgekit uses ssh keys (`ssh-copy-id HOST`), and passwords belong into no file"
# What pydantic calls a mistake, in words of the file.
_SAID = {
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_type": "must be one text, and is a list",
    "tuple_type": "must be a list, such as [a, b]",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number, and is a list",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}


def parse(text: str, name: str = "devices.yaml") -> dict[str, AnyDevice]:
    """Return the devices in a YAML text. Raises UsageError with the line and the nearest key."""
    try:
        root = yaml_text.root(text)
    except YamlError as error:
        raise _no_yaml(text, name, error) from error
    if root is None:
        return {}
    entries = _pairs(root, name, "the file")
    for key, (line, _) in entries.items():
        if key != "devices":
            remedy = _STORE if _is_store(key) else f"the only key of the file is 'devices': {_SHAPE}"
            raise UsageError(f"{name} line {line}: unknown key '{key}'{nearest(key, ['devices'])}", remedy)
    if "devices" not in entries:
        raise UsageError(f"{name} line 1: the key 'devices' is missing", _SHAPE)
    return {
        key: _device(key, node, name) for key, (_, node) in _pairs(entries["devices"][1], name, "'devices'").items()
    }


def _no_yaml(text: str, name: str, error: YamlError) -> UsageError:
    where = f" line {error.line}" if error.line else ""
    remedy = "see that every bracket and quote is closed"
    lines = text.splitlines() or [""]
    if error.line and "\t" in lines[min(error.line, len(lines)) - 1]:
        remedy = "there is a tab: indent with spaces"
    return UsageError(f"{name}{where} is no YAML: {error.cause}", remedy)


def _pairs(node: yaml.Node, name: str, what: str) -> dict[str, tuple[int, yaml.Node]]:
    """A mapping's names with their line and value."""
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{name} line {line_of(node)}: {what} must be a mapping of names to values", _SHAPE)
    try:
        found = yaml_text.pairs(node)
    except YamlError as error:
        remedy = "give each its own name" if "twice" in error.cause else _SHAPE
        raise UsageError(f"{name} line {error.line}: {error.cause}", remedy) from error
    for key, (line, _) in found.items():
        if not key.isprintable():
            raise UsageError(f"{name} line {line}: the name {key!r} must be printable, on one line", _SHAPE)
    return found


def _device(device: str, node: yaml.Node, name: str) -> AnyDevice:
    pairs = _pairs(node, name, f"device '{device}'")
    _refuse_secrets(device, pairs, name)
    told = {key: pair for key, pair in pairs.items() if not _is_null(pair[1])}
    kind = told["link"][1] if "link" in told else None
    link = kind.value if isinstance(kind, yaml.ScalarNode) else None
    if link not in KINDS:
        line = pairs["link"][0] if kind else line_of(node)
        cause = (
            f"unknown link '{escaped(str(link))[:80]}'{nearest(str(link)[:80], KINDS)}"
            if kind
            else "the key 'link' is missing"
        )
        raise UsageError(f"{name} line {line}: device '{device}': {cause}", f"choose one of: {', '.join(KINDS)}")
    _check_keys(device, pairs, link, name)
    values = {key: _plain(value) for key, (_, value) in told.items()}
    try:
        return ONE.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = next((str(part) for part in first["loc"] if str(part) in KINDS[link].model_fields), "")
        line = pairs[key][0] if key in pairs else line_of(node)
        raise _invalid(name, line, device, link, key, first) from error


def _invalid(name: str, line: int, device: str, link: str, key: str, error: Any) -> UsageError:
    """What is wrong with the value of a key, and what the key means."""
    if error["type"] == "missing":
        return UsageError(f"{name} line {line}: device '{device}': the key '{key}' is missing", _remedy(link, key, ""))
    return UsageError(
        f"{name} line {line}: device '{device}': {key}: {_said(key, error)}", _remedy(link, key, error["type"])
    )


def _said(key: str, error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return f"'{error['input']}' is no " + ("name for ssh" if key == "host" else "flag with its value (name=value)")
    return _SAID[kind].format(**context) if kind in _SAID else str(error["msg"]).lower()


def _remedy(link: str, key: str, kind: str) -> str:
    if key == "host":
        return "write a name of ~/.ssh/config or [user@]host; port, key and jump host belong into ~/.ssh/config"
    if key == "runtimes":
        return f"write a list, such as [litert], of: {', '.join(RUNTIMES)}"
    if key == "power_modes" and kind == "value_error":
        return "add `sensors: jetson`, or take power_modes away"
    about = KINDS[link].model_fields[key].description if key else None
    return f"{key} means: {about}" if about else _SHAPE


def _refuse_secrets(device: str, pairs: dict[str, tuple[int, yaml.Node]], name: str) -> None:
    for key, (line, node) in pairs.items():
        if key.lower() in _SECRETS or any(part in key.lower() for part in _SECRET_PARTS):
            raise UsageError(f"{name} line {line}: device '{device}' has a {key}", _KEYS_NOT_PASSWORDS)
        user = node.value.rpartition("@")[0] if key == "host" and isinstance(node, yaml.ScalarNode) else ""
        if ":" in user.replace("://", ""):
            raise UsageError(f"{name} line {line}: device '{device}' has a password in its host", _KEYS_NOT_PASSWORDS)


def _check_keys(device: str, pairs: dict[str, tuple[int, yaml.Node]], link: str, name: str) -> None:
    known = KINDS[link].model_fields
    for key, (line, node) in pairs.items():
        if key not in known:
            others = ", ".join(other for other, kind in KINDS.items() if key in kind.model_fields)
            is_store = _is_store(key)
            hint = f", which belongs to the link {others}" if others else "" if is_store else nearest(key, known)
            remedy = _STORE if is_store else f"its keys are: {', '.join(known)}"
            raise UsageError(f"{name} line {line}: device '{device}' has an unknown key '{key}'{hint}", remedy)
        if not _is_flat(node):
            raise UsageError(f"{name} line {line}: device '{device}': {key} must be text, or a list of texts", _SHAPE)
        if any(not text.isprintable() for text in _texts(node)):
            raise UsageError(f"{name} line {line}: device '{device}': {key} must be printable, on one line", _SHAPE)


def _is_store(key: str) -> bool:
    """Whether a key is meant for the store, which no device has."""
    return closest(key.lower(), ["store", "sensors"]) == "store"


def _is_null(node: yaml.Node) -> bool:
    """Whether a value is YAML's null, which is as if its key were not there; in quotes it is text."""
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS


def _is_flat(node: yaml.Node) -> bool:
    """Whether a value is text or a list of texts. An alias can make a list hold itself, or a thousand others."""
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return all(isinstance(item, yaml.ScalarNode) for item in items)


def _texts(node: yaml.Node) -> list[str]:
    return [str(item.value) for item in node.value] if isinstance(node, yaml.SequenceNode) else [str(node.value)]


def _plain(node: yaml.Node) -> Any:
    """A node as text or a list of texts: a serial number keeps its zeros."""
    return _texts(node) if isinstance(node, yaml.SequenceNode) else node.value
