"""What OpenSSH's own words mean for its user."""

from __future__ import annotations

from edgekit.errors import DeviceUnreachable

# (what ssh says, what happened, what to do); the first that fits. {host} is the name for ssh.
MEANINGS = (
    (
        "remote host identification has changed",
        "its host key is not the one that is known",
        "make sure that it is the right machine; if its key was changed on purpose, `ssh-keygen -R` the old one",
    ),
    ("host key verification failed", "its host key is not known here", "run `ssh {host}` once and compare the key"),
    ("no matching host key", "it offers no kind of host key that ssh accepts", "see `ssh -v {host}`"),
    (
        "permission denied",
        "it does not accept any of your keys",
        "run `ssh-copy-id {host}`, or add your key to the agent: `ssh {host} true` must work without a question",
    ),
    ("too many authentication failures", "your agent offers too many keys", "set IdentitiesOnly in ~/.ssh/config"),
    ("could not resolve hostname", "there is no machine of that name", "correct `host:` or ~/.ssh/config"),
    ("bad configuration option", "ssh's configuration is wrong", "run `ssh {host} true` and correct what it says"),
    ("bad permissions", "ssh refuses a file of yours for its permissions", "run `ssh {host} true` and see"),
)
PASSING = ("connection refused", "timed out", "no route to host", "unreachable", "reset", "closed", "no answer")


def unreachable(name: str, host: str, stderr: str) -> DeviceUnreachable:
    """Return the error for what ssh said."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("@")]
    said = lines[-1] if lines else "the connection was lost"
    for words, happened, remedy in MEANINGS:
        if words in stderr.lower():
            return DeviceUnreachable(f"{name} ({host}): {happened}: {said}", remedy.format(host=host))
    return DeviceUnreachable(
        f"{name} ({host}) cannot be reached: {said}",
        f"see that it is on and that `ssh {host} true` works, then try again",
    )


def may_pass(stderr: str) -> bool:
    """Return whether trying again may help."""
    said = stderr.lower()
    return not any(words in said for words, _, _ in MEANINGS) and any(words in said for words in PASSING)
