"""An ARM board that is none: arm64 Debian and the runtimes' own aarch64 wheels below qemu-user, behind a real sshd.

Every instruction that Python, numpy and the runtimes execute is ARM's, translated by qemu, as one chosen core would
execute it; the shell and sshd are this machine's. So answers are an ARM processor's, and times are nobody's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from scripts.debian import Release, cached, run
from tests.bench.ssh_server import Server, disconnect, make, missing

RELEASE = "bookworm"  # what Raspberry Pi OS is made of, too
EMULATOR = "trixie"  # under qemu 7.2 both runtimes crash
PACKAGES, RUNTIMES = ("python3", "libstdc++6"), ("ai-edge-litert", "onnxruntime")
PYTHON = "3.11"
TOOLS = ("sh", "env", "cat", "ls", "uname", "true", "echo", "sleep", "mkdir", "rm", "df", "head", "grep")
# -0: what Python takes for its own name, and starts again when it needs another process.
WRAPPER = f"""#!/usr/bin/sh
exec /usr/bin/qemu-aarch64 -0 /usr/bin/python3 /usr/bin/python{PYTHON} "$@"
"""
BOOT = """set -e
mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --rbind /sys "$1/sys"
mount --bind "$2" "$1/root"
shift 2
exec "$@"
"""


def system() -> Path:
    """Return the folder with the board's system, made once for each version of the runtimes that are installed here.

    Raises LookupError where it cannot be had.
    """
    versions = {name: metadata.version(name) for name in RUNTIMES}
    wheels = ["numpy", "flatbuffers", *(f"{name}=={version}" for name, version in versions.items())]
    return cached(f"board-arm64-{RELEASE}-{'-'.join(versions.values())}", lambda root: _fill(root, wheels))


def _fill(root: Path, wanted: Sequence[str]) -> None:
    Release(RELEASE, root.parent / "arm64", "arm64").unpack(PACKAGES, root)
    Release(RELEASE, root.parent / "arm64-alone", "arm64").unpack(["base-files"], root, ["./usr/lib/os-release"])
    Release(RELEASE, root.parent / "native").unpack(["busybox-static"], root, ["./bin/busybox"])
    Release(EMULATOR, root.parent / "emulator").unpack(["qemu-user"], root, ["./usr/bin/qemu-aarch64"])
    wheels, packages = root.parent / "wheels", root / f"usr/local/lib/python{PYTHON}/dist-packages"
    wish = ["--only-binary=:all:", "--no-deps", "--python-version", PYTHON, "--dest", str(wheels)]
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(17, 37)]
    run([sys.executable, "-m", "pip", "download", "--quiet", *platforms, *wish, *wanted])
    packages.mkdir(parents=True)
    for wheel in wheels.glob("*.whl"):
        run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(packages)])
    (root / "usr/bin/python3").unlink()
    (root / "usr/bin/python3").write_text(WRAPPER)
    (root / "usr/bin/python3").chmod(0o755)
    for name in TOOLS:
        (root / "usr/bin" / name).unlink(missing_ok=True)
        (root / "usr/bin" / name).symlink_to("busybox")
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    for name in ("proc", "dev", "sys", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)


def emulator() -> str:
    """Return the name and version of what executes the board's instructions."""
    return run([str(system() / "usr/bin/qemu-aarch64"), "--version"]).splitlines()[0].partition(" (")[0]


@contextmanager
def running(folder: Path, core: str) -> Iterator[Server]:
    """A board with this kind of core, as `board` of the file that $EDGEKIT_SSH_CONFIG then names."""
    reason = missing()
    if reason:
        raise LookupError(reason)
    root, server = system(), make(folder)
    (folder / "home").mkdir()
    key = (folder / "authorized").read_text()
    variables = f"PATH=/usr/bin:/usr/sbin HOME=/root QEMU_CPU={core}"
    # sshd gives the command that was asked for in a variable; the shell on the board gets it as one word.
    command = f'exec chroot {root} /usr/bin/env -i {variables} /usr/bin/sh -c \\"$SSH_ORIGINAL_COMMAND\\"'
    (folder / "authorized").write_text(f'command="cd /; {command}" {key}')
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *_user()]
    server.prefix = (*namespaces, "sh", "-c", BOOT, "boot", str(root), str(folder / "home"))
    os.environ["EDGEKIT_SSH_CONFIG"] = str(folder / "config")
    server.start()
    try:
        yield server
    finally:
        for link in server.links:
            disconnect(link)
        server.stop()


def _user() -> list[str]:
    return [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
