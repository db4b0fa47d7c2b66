"""Debian's packages, unpacked with all that they need into a folder of the user's cache: nothing is installed.

Only on a machine whose apt knows a Debian mirror; the release may be another than this machine's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekit-tests"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = ("apt-get", "dpkg-deb")
SECONDS = 600


def unpacked(
    name: str, release: str, packages: Sequence[str], finish: Callable[[Path], None], architecture: str = ""
) -> Path:
    """Return the folder of this name in the cache, made once, with a release's packages; `finish` furnishes it.

    Raises LookupError, with the reason, where the packages cannot be had.
    """
    folder = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{name}-") as draft:
                made = Path(draft) / "root"
                _unpack(release, packages, Path(draft), made, architecture)
                finish(made)
                made.rename(folder)
    return folder


def mirror() -> str:
    """The first Debian mirror that this machine's apt knows. Raises LookupError where there is none."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking or not KEYRING.is_file():
        raise LookupError(f"Debian's packages cannot be unpacked here: no {lacking[0] if lacking else KEYRING}")
    wish = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Origin: Debian"]
    sites = subprocess.run(wish, capture_output=True, text=True, check=False).stdout.split()
    if not sites:
        raise LookupError("this machine's apt knows no Debian mirror: run `apt-get update` on Debian")
    return sites[0]


def _unpack(release: str, packages: Sequence[str], draft: Path, made: Path, architecture: str) -> None:
    """Fetch with lists of our own, as if nothing were installed, so that every library comes along."""
    for part in ("lists/partial", "cache/archives/partial"):
        (draft / part).mkdir(parents=True)
    (draft / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {release} main\n")
    settings = {
        "Dir::Etc::SourceList": draft / "sources.list", "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": draft / "lists", "Dir::Cache": draft / "cache", "Dir::State::status": "/dev/null",
        "APT::Install-Recommends": "false", "Acquire::Languages": "none", "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }  # fmt: skip
    if architecture:
        settings |= {"APT::Architecture": architecture, "APT::Architectures": architecture}
    apt = ["apt-get", "-qq", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]
    _run([*apt, "update"])
    _run([*apt, "install", "--download-only", "--yes", *packages])
    # Every package speaks of /lib and /bin, which are names for folders of /usr.
    for link in ("bin", "lib", "lib64", "sbin"):
        (made / "usr" / link).mkdir(parents=True)
        (made / link).symlink_to(f"usr/{link}")
    for package in sorted((draft / "cache/archives").glob("*.deb")):
        # Not `--extract`, which would put a folder where the links are.
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
            _run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(made)], archive.stdout)


def _run(command: Sequence[str], stdin: object = subprocess.DEVNULL) -> None:
    try:
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, timeout=SECONDS, check=False)  # type: ignore[call-overload]
    except subprocess.TimeoutExpired as error:
        raise LookupError(f"no answer in {SECONDS} s from {command[0]}") from error
    if done.returncode:
        raise LookupError(f"{command[0]} failed: {' '.join(done.stderr.split())[-200:]}")
