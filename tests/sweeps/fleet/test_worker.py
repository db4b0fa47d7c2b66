"""The command `worker`: what is refused before it serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import DeviceUnreachable, UsageError
from edgekit.sweeps.fleet import worker as module
from edgekit.sweeps.fleet.announcement import DEVICE, KEY, Announcement
from edgekit.sweeps.fleet.connection import Connection
from tests.command_line import edgekit
from tests.sweeps.fleet.peers import described
from tests.waiting import free_port

pytest.importorskip("distributed")
SAID = Announcement("one", {}, {}, {"pi-1": {}}, 1, 10**9)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"resources": {f"{DEVICE}pi-1": 1}, KEY: {"name": "two"}}, "worker two announces pi-1 already"),
        ({"resources": {}, KEY: {"name": "one"}}, "a worker called one is there already"),
        ({"resources": {f"{DEVICE}pi-2": 1}, KEY: {"name": "two"}}, None),
        ({"resources": {}}, None),
    ],
)
def test_one_worker_alone_has_a_device_and_a_name(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, Any], message: str | None
) -> None:
    async def look(where: Any) -> dict[str, Any]:
        return {"workers": {"tcp://127.0.0.1:1": other}}

    monkeypatch.setattr(module, "look", look)
    where = Connection("tcp://127.0.0.1:8786")
    if message is None:
        module._meet(where, SAID)
        return
    with pytest.raises(UsageError, match=message):
        module._meet(where, SAID)


def test_what_cannot_serve_ends_at_once(tmp_path: Path) -> None:
    devices = described(tmp_path / "devices.yaml", "pi-1")
    nobody = f"tcp://127.0.0.1:{free_port()}"
    for arguments, code, said in (
        (("--scheduler", nobody), DeviceUnreachable.exit_code, f"no scheduler answers at {nobody}"),
        (("--scheduler", "tcp://10.1.1.1:8786"), 2, "not encrypted"),
        (("--scheduler", nobody, "--jobs", "0"), 2, "--jobs must be at least 1"),
        (("--scheduler", nobody, "--devices", str(tmp_path / "none.yaml")), 2, "cannot be read"),
        ((), 2, "no scheduler of Dask was named"),
    ):
        usual = () if "--devices" in arguments else ("--devices", str(devices))
        done = edgekit("worker", *arguments, *usual)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert len(done.stderr.splitlines()) == 2
