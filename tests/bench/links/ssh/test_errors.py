"""What ssh says, in words for its user."""

from __future__ import annotations

import pytest

from edgekit.bench.links.ssh.errors import may_pass, unreachable


@pytest.mark.parametrize(
    ("stderr", "happened", "remedy"),
    [
        ("me@host: Permission denied (publickey).", "does not accept any of your keys", "ssh-copy-id host"),
        ("@@@@@\nREMOTE HOST IDENTIFICATION HAS CHANGED!\n", "not the one that is known", "ssh-keygen -R"),
        ("Host key verification failed.\r\n", "host key is not known here", "run `ssh host` once"),
        ("ssh: Could not resolve hostname host: Name or service not known", "no machine of that name", "`host:`"),
        ("kex_exchange: Connection reset by peer", "cannot be reached: kex_exchange", "`ssh host true` works"),
        ("", "cannot be reached: the connection was lost", "`ssh host true` works"),
    ],
)
def test_the_cause_and_what_to_do(stderr: str, happened: str, remedy: str) -> None:
    error = unreachable("board", "host", stderr)
    assert error.message.startswith("board (host)") and happened in error.message and remedy in error.remedy


@pytest.mark.parametrize(
    ("stderr", "passes"),
    [
        ("ssh: connect to host h port 22: Connection refused", True),
        ("Connection timed out", True),
        ("Permission denied; connection closed", False),
        ("command not found", False),
    ],
)
def test_what_may_pass_is_tried_again(stderr: str, passes: bool) -> None:
    assert may_pass(stderr) is passes
