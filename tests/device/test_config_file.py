"""devices.yaml as it must not be: one line of cause with its place, one of remedy, exit code 2, and nothing run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.device.config import KINDS, SshDevice
from edgekit.device.config_file import parse
from edgekit.errors import UsageError

SSH = "link: ssh, host: h, runtimes: [litert]"
ADB = "link: adb, runtimes: [benchmark_model]"
# A value of each key that is none, what is said of it, and a word of the remedy.
VALUES = (
    ("link: local, runtimes: litert", "runtimes: must be a list", "[litert]"),
    ("link: local, runtimes: []", "runtimes: must not be empty", "[litert]"),
    ("link: ssh, runtimes: [litert], host: [a, b]", "host: must be one text, and is a list", "~/.ssh/config"),
    (f"{SSH}, python: ''", "python: must not be empty", "3.8 or newer"),
    (f"{SSH}, folder: [a]", "folder: must be one text, and is a list", "edgekit keeps its files"),
    (f"{SSH}, sensors: android", "sensors: must be 'jetson'", "tegrastats"),
    (f"{SSH}, sensors: jetson, power_modes: 15W", "power_modes: must be a list", "by name"),
    (f"{SSH}, power_modes: [15W]", "power_modes: only a Jetson has power modes", "sensors: jetson"),
    (f"{SSH}, dla: perhaps", "dla: must be true or false", "DLA core"),
    (f"{SSH}, dla: [yes]", "dla: must be true or false", "DLA core"),
    (f"{SSH}, workspace_mib: much", "workspace_mib: must be a whole number", "in MiB"),
    (f"{SSH}, workspace_mib: [1]", "workspace_mib: must be a whole number, and is a list", "in MiB"),
    (f"{SSH}, workspace_mib: 0", "workspace_mib: must be 1 or more", "in MiB"),
    (f"{SSH}, workspace_mib: 1073741824", "workspace_mib: must be 1048576 or less", "in MiB"),
    (f"{ADB}, serial: [1]", "serial: must be one text, and is a list", "`adb devices`"),
    (f"{ADB}, benchmark_model: [a]", "benchmark_model: must be one text, and is a list", "path here"),
    (f"{ADB}, npu_libraries: [a]", "npu_libraries: must be one text, and is a list", "--delegate npu"),
    (f"{ADB}, npu_flags: a=b", "npu_flags: must be a list", "version9"),
    (f"{ADB}, npu_flags: [a]", "npu_flags: 'a' is no flag with its value (name=value)", "version9"),
    (f"{ADB}, cores: huge", "cores: must be 'big', 'little' or 'all'", "to measure on"),
)
CHAIN = zip("abcdefg", "bcdefgh", strict=True)
MANY = ", ".join(f"&{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in CHAIN)
SECRETS = (
    "password",
    "Password",
    "ssh_password",
    "sudo_pass",
    "password_file",
    "sshpass",
    "passphrase",
    "token",
    "pass",
)
BAD = {
    "a list that holds itself": ("{link: local, runtimes: &x [*x]}", "runtimes must be text, or a list of texts"),
    "ten million texts": (f"{{link: local, runtimes: [&a [x, x, x], {MANY}]}}", "runtimes must be text, or a list"),
    "a list in a list": ("{link: local, runtimes: [[x]]}", "runtimes must be text, or a list of texts"),
    "a mapping for text": ("{link: ssh, host: {name: h}, runtimes: [litert]}", "host must be text"),
    "a link of two": ("{link: [ssh, adb], runtimes: [litert]}", "unknown link"),
    "a merged mapping": ("{<<: {link: local}, runtimes: [litert]}", "the key 'link' is missing"),
    "a key twice": ("{link: ssh, host: h, host: g, runtimes: [litert]}", "'host' is there twice"),
    "a password in the host": ("{link: ssh, host: 'me:secret@h', runtimes: [litert]}", "has a password in its host"),
    "a password in a URL": ("{link: ssh, host: 'ssh://me:secret@h', runtimes: [litert]}", "has a password in its host"),
    "a password with an at": ("{link: ssh, host: 'me:se@cret@h', runtimes: [litert]}", "has a password in its host"),
    "a line in the host": ('{link: ssh, host: "h\\nProxyCommand x", runtimes: [torch]}',
    "must be printable, on one line"),
    "a line in the serial": ('{link: adb, serial: "1\\n2", runtimes: [litert]}', "must be printable, on one line"),
    "a command in the host": ("{link: ssh, host: 'h;$(touch injected)', runtimes: [litert]}", "is no name for ssh"),
    "a port in the host": ("{link: ssh, host: 'pi@10.0.0.7:22', runtimes: [litert]}", "is no name for ssh"),
    "an option as the host": ("{link: ssh, host: '-oProxyCommand=touch injected', runtimes: [torch]}",
    "is no name for ssh"),
    "a link with a blank": ("{link: 'local ', runtimes: [litert]}", "unknown link 'local '; did you mean 'local'"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused(what: str) -> None:
    text, said = BAD[what]
    with pytest.raises(UsageError) as caught:
        parse(f"devices:\n  board: {text}\n")
    assert said in caught.value.message and "line 2" in caught.value.message and "\n" not in caught.value.message
    assert caught.value.exit_code == 2 and caught.value.remedy and "secret" not in caught.value.message


@pytest.mark.parametrize(("text", "said", "remedy"), VALUES)
def test_a_value_that_is_none_of_its_key(text: str, said: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"devices:\n  board: {{{text}}}\n")
    assert said in caught.value.message and "line 2" in caught.value.message and remedy in caught.value.remedy


def test_every_key_has_such_a_value() -> None:
    known = {key for kind in KINDS.values() for key in kind.model_fields}
    assert {said.partition(":")[0] for _, said, _ in VALUES} == known - {"link"}


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_under_any_name(key: str) -> None:
    with pytest.raises(UsageError, match=f"line 2: device 'board' has a {key}") as caught:
        parse(f"devices:\n  board: {{{SSH}, {key}: hunter2}}\n")
    assert "ssh-copy-id" in caught.value.remedy and "hunter2" not in caught.value.message


@pytest.mark.parametrize("text", ["a b", "it's", 'say "x"', "$(touch injected)", "`touch injected`", "a;b", "~/a b/*"])
def test_paths_may_hold_what_a_shell_would_read(text: str) -> None:
    found = parse(
        json.dumps(
            {"devices": {text: {"link": "ssh", "host": "h", "folder": text, "python": text, "runtimes": ["litert"]}}}
        )
    )
    device = found[text]
    assert isinstance(device, SshDevice) and device.folder == device.python == text


@pytest.mark.parametrize(
    "host", ["pi", "me+x@pi.local", "pi@10.0.0.7", "pi@fe80::1%eth0", "pi@::1", "pi@[2001:db8::7]"]
)
def test_hosts_as_ssh_takes_them(host: str) -> None:
    found = parse(json.dumps({"devices": {"board": {"link": "ssh", "host": host, "runtimes": ["litert"]}}}))["board"]
    assert isinstance(found, SshDevice) and found.host == host


def test_the_command_says_it_in_two_lines(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text(f"devices:\n  board: {{{SSH}, password: hunter2}}\n")
    command = [sys.executable, "-m", "edgekit", "devices"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "hunter2" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2 and "ssh-copy-id" in done.stderr
