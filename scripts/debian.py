"""Debian's packages, unpacked with all that they need into a folder of the user's cache: nothing is installed.

Only on a machine whose apt knows a Debian mirror; the release and the processor may be others than this machine's.
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
TOOLS = ("apt-get", "dpkg-deb", "tar")
SECONDS = 900


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of this name in the cache; `make` fills it once, and a failed attempt leaves nothing."""
    folder = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{name}-") as draft:
                make(made := Path(draft) / "made")
                made.rename(folder)
    return folder


class Release:
    """One release of Debian for one processor (apt's name of it; empty: this machine's), as a mirror has it."""

    def __init__(self, name: str, folder: Path, architecture: str = "") -> None:
        """Fetch its lists into `folder`. Raises LookupError, with the reason, where they cannot be had."""
        self._folder = folder
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        source = f"[signed-by={KEYRING}] {mirror()} {name} main\n"
        (folder / "sources.list").write_text(f"deb {source}deb-src {source}")
        settings = {
            # As if nothing were installed, so that every library comes along.
            "Dir::State::status": "/dev/null", "Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache",
            "Dir::Etc::SourceList": folder / "sources.list", "Dir::Etc::SourceParts": "-", "Debug::NoLocking": "true",
            "APT::Install-Recommends": "false", "APT::Sandbox::User": "root", "Acquire::Languages": "none",
            **({"APT::Architecture": architecture, "APT::Architectures": architecture} if architecture else {}),
        }  # fmt: skip
        self._apt = ["apt-get", "-qq", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]
        run([*self._apt, "update"])

    def unpack(self, packages: Sequence[str], root: Path, only: Sequence[str] = ()) -> None:
        """Unpack packages, and what they need, below `root`; or the files of `only`, from these packages alone."""
        if only:
            (self._folder / "alone").mkdir()
            run([*self._apt, "download", *packages], cwd=self._folder / "alone")
            found = (self._folder / "alone").glob("*.deb")
        else:
            run([*self._apt, "install", "--download-only", "--yes", *packages])
            found = (self._folder / "cache/archives").glob("*.deb")
        for link in ("bin", "lib", "lib64", "sbin"):  # every package speaks of /lib and means /usr/lib
            (root / "usr" / link).mkdir(parents=True, exist_ok=True)
            if not (root / link).is_symlink():
                (root / link).symlink_to(f"usr/{link}")
        for package in sorted(found):
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
                # Not `dpkg-deb --extract`, which would put a folder where the links are.
                wish = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root), *only]
                run(wish, stdin=archive.stdout)

    def source(self, package: str, folder: Path, folders: Sequence[str]) -> None:
        """Unpack these folders of a package's original source below `folder`, without its first part."""
        listed = run([*self._apt, "source", "--print-uris", package]).splitlines()
        uri, name, _, digest = next(line for line in listed if ".orig.tar." in line).split()
        archive = self._folder / name
        run(["/usr/lib/apt/apt-helper", "download-file", uri.strip("'"), str(archive), digest])
        folder.mkdir(parents=True)
        wish = ["tar", "-x", "-f", str(archive), "-C", str(folder), "--strip-components=1", "--no-same-owner"]
        run([*wish, "--wildcards", *(f"*/{part}/*" for part in folders)])


def inside(root: Path) -> list[str]:
    """The beginning of a command that sees `root` as its whole file system; anybody may where the kernel lets them."""
    return [*([] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]), "chroot", str(root)]


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


def run(command: Sequence[str], **options: object) -> str:
    """What a command prints. Raises LookupError, with what it said, where it fails."""
    wish = {"stdin": subprocess.DEVNULL, **options}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, **wish)  # type: ignore[call-overload]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LookupError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise LookupError(f"{Path(command[0]).name} failed: {' '.join(done.stderr.split())[-300:]}")
    return str(done.stdout)
