"""The ssh link against a real server: what is refused, and what is said of it."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgekit.bench.links.ssh import connection as ssh_connection
from edgekit.bench.links.ssh import link as link_ssh
from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError, EnvironmentRefused, UsageError

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "PAUSE_SECONDS", 0.01)


def config(server: Server, *changes: tuple[str, str]) -> None:
    path = server.folder / "config"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def other_key(server: Server, name: str) -> Path:
    path = server.folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def refusal(server: Server) -> EdgekitError:
    with pytest.raises(EdgekitError) as caught:
        server.link().look({})
    assert "\n" not in caught.value.message and "board" in caught.value.message
    return caught.value


def test_a_host_key_that_changed(server: Server) -> None:
    key = other_key(server, "another").with_suffix(".pub").read_text().split()
    (server.folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {key[0]} {key[1]}\n")
    error = refusal(server)
    assert error.exit_code == 4 and "host key is not the one that is known" in error.message
    assert server.connections() == 0


def test_a_host_key_that_is_not_known_is_not_accepted(server: Server) -> None:
    (server.folder / "known_hosts").write_text("")
    config(server, ("IdentitiesOnly yes", "IdentitiesOnly yes\n  StrictHostKeyChecking no"))
    error = refusal(server)
    assert error.exit_code == 4 and "not known here" in error.message and "ssh board" in error.remedy
    assert (server.folder / "known_hosts").read_text() == ""


def test_a_key_that_is_not_accepted(server: Server) -> None:
    config(server, (str(server.folder / "own_key"), str(other_key(server, "stranger"))))
    error = refusal(server)
    assert (
        error.exit_code == 4 and "does not accept any of your keys" in error.message and "ssh-copy-id" in error.remedy
    )


def test_a_server_that_is_down_or_nowhere(server: Server) -> None:
    server.stop()
    error = refusal(server)
    assert error.exit_code == 4 and "refused" in error.message
    config(server, ("HostName 127.0.0.1", "HostName no-such-host.invalid"))
    error = refusal(server)
    assert error.exit_code == 4 and "no machine of that name" in error.message


def test_a_server_that_takes_the_call_and_says_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "MASTER", ("ControlMaster=yes", "ControlPersist=5", "ConnectTimeout=1"))
    monkeypatch.setattr(ssh_connection, "ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config(server, (f"Port {server.port}", f"Port {silent.getsockname()[1]}"))
        error = refusal(server)
    assert error.exit_code == 4 and "timed out" in error.message


def test_a_wrong_configuration(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    config(server, ("IdentitiesOnly yes", "IdentitiesOnlly yes"))
    assert "configuration is wrong" in refusal(server).message
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", "/no/such/file")
    with pytest.raises(UsageError, match="EDGEKIT_SSH_CONFIG"):
        server.link().look({})


def test_a_device_without_python(server: Server) -> None:
    with pytest.raises(
        BackendMissing, match="board has no Python: `no such python` ended with exit code 127"
    ) as caught:
        server.link(python="no such python").look({})
    assert "python:" in caught.value.remedy


def test_a_device_with_an_old_python(server: Server) -> None:
    server.script("python3.6", "#!/bin/sh\necho 'edgekit 3.6.15'\n")
    with pytest.raises(BackendMissing, match="is Python 3.6.15, and the runner needs 3.8"):
        server.link(python="python3.6").look({})


@pytest.mark.parametrize("version", ["2.7.18", "3.6.15", "3.7.16"])
def test_real_old_pythons_are_told_apart(server: Server, version: str) -> None:
    python = Path(f"~/.pyenv/versions/{version}/bin/python").expanduser()
    if not python.exists():
        pytest.skip(f"no Python {version} here")
    with pytest.raises(BackendMissing, match=f"is Python {version}, and"):
        server.link(python=str(python)).look({})


def test_a_folder_that_cannot_be_written(server: Server) -> None:
    (server.folder / "file").write_text("")
    with pytest.raises(EnvironmentRefused, match="board refuses") as caught:
        server.link(root=str(server.folder / "file" / "below")).look({})
    assert "folder:" in caught.value.remedy


def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    board = server.link(root=str(small / "edgekit"))
    try:
        path = tmp_path / "a.onnx"
        path.write_bytes(os.urandom(3_000_000))
        with pytest.raises(EnvironmentRefused, match="no space on board") as caught:
            board.place(path)
        assert caught.value.exit_code == 7
        assert not list((small / "edgekit" / "files").iterdir())
        path.write_bytes(b"small")
        assert Path(board.place(path)).read_bytes() == b"small"
    finally:
        board.close()
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_device_that_never_answers(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_ssh, "ANSWER_SECONDS", 1.0)
    server.script("slow", "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(DeviceUnreachable, match="no answer in 1 s"):
        server.link(python="slow").look({})


def test_a_shell_that_prints_before_every_command(server: Server) -> None:
    """As on boards whose ~/.bashrc greets: bash reads it for each command that comes over ssh."""
    home = server.folder / "home"
    home.mkdir()
    (home / ".bashrc").write_text("echo 'Welcome to JetPack 6'\n")
    key = (server.folder / "authorized").read_text()
    command = f'env HOME={home} SHLVL=0 bash -c \\"$SSH_ORIGINAL_COMMAND\\"'
    (server.folder / "authorized").write_text(f'command="{command}" {key}')
    error = refusal(server)
    assert isinstance(error, EnvironmentRefused) and "prints before a command runs: 'Welcome to JetPack 6'" in str(
        error
    )
    assert "~/.bashrc" in error.remedy and "[[ $- == *i* ]] || return" in error.remedy
    (home / ".bashrc").write_text("yes | head -c 200000\n")
    assert "prints before a command runs: 'y y y" in refusal(server).message
    (home / ".bashrc").write_text("[[ $- == *i* ]] || return\necho 'Welcome to JetPack 6'\n")
    assert server.link().look({})["cpus"]
