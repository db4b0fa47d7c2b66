from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.links.owner import is_gone, owner
from tests.paths import ROOT

CONTAINER = ("unshare", "-Urpf", "--mount-proc")  # its own process numbers, and a /proc that shows only these
ASKS = "import json, sys; from edgekit.bench.links.owner import *; print(json.dumps({}))"


def python(expression: str, *prefix: str) -> Any:
    """What an expression of owner.py is in a process that has ended then."""
    command = [*prefix, sys.executable, "-c", ASKS.format(expression)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


@pytest.fixture
def container() -> tuple[str, ...]:
    """What starts a command among other processes of this machine."""
    if shutil.which(CONTAINER[0]) is None or subprocess.run([*CONTAINER, "true"], check=False).returncode:
        pytest.skip("no namespace of processes can be made here")
    return CONTAINER


def test_a_process_that_has_ended_is_gone_and_a_living_one_is_not() -> None:
    assert is_gone(python("owner()")) and not is_gone(owner())


def test_another_process_with_the_number_of_one_that_has_ended() -> None:
    assert is_gone({**owner(), "started": "1"})


def test_nothing_is_known_of_the_processes_of_another_container(container: tuple[str, ...]) -> None:
    assert python(f"is_gone({owner()!r})", *container) is False
    assert not is_gone(python("owner()", *container))


def test_nothing_is_known_where_the_record_names_the_machine_alone() -> None:
    start = Path("/proc/sys/kernel/random/boot_id")
    if not start.is_file():
        pytest.skip("this system does not tell when it started")
    assert not is_gone({**python("owner()"), "machine": start.read_text().strip()})
    assert not is_gone(None) and not is_gone({}) and not is_gone({**python("owner()"), "machine": "another"})
