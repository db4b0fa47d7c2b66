"""The local link: runs the runner in a fresh process of this Python, and blocks until it has answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekit.errors import BackendMissing, EdgekitError, EnvironmentRefused, MeasurementInvalid
from edgekit.runtime import RUNTIMES, refusal

RUNNER = Path(__file__).with_name("runner.py")


def run(job: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
    """What the runner answers to a job (see bench/runner.py), from a process that does nothing else and is gone then.

    Raises BackendMissing or UsageError for what the runner refuses or dies of, MeasurementInvalid when it takes longer
    than `timeout_seconds`.
    """
    stdin, alive = os.pipe()  # held open: when this process goes, however it goes, the runner sees it and goes too
    try:
        process = _start(stdin)
    except BaseException:
        os.close(alive)
        raise
    finally:
        os.close(stdin)
    with process:
        try:
            with suppress(BrokenPipeError):
                os.write(alive, json.dumps(dict(job)).encode() + b"\n")
            stdout, stderr = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise MeasurementInvalid(
                f"no answer from {job['runtime']} in {timeout_seconds:.0f} s: the run was ended",
                "use --preset quick, or a smaller network",
            ) from error
        finally:
            process.kill()
            os.close(alive)
    return _answer(job, process.returncode, stdout, stderr)


def _start(stdin: int) -> subprocess.Popen[bytes]:
    try:
        # A session of its own: Ctrl-C comes here only, and the runner is ended from here.
        return subprocess.Popen(
            [sys.executable, str(RUNNER)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise EnvironmentRefused(f"no process could be started: {error}", "free some memory and try again") from error


def _answer(job: Mapping[str, Any], code: int, stdout: bytes, stderr: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(stdout)
    except ValueError:
        raise _death(str(job["runtime"]), code, stderr) from None
    if "error" in answer:
        raise refusal(answer["error"]["kind"], answer["error"]["message"], RUNTIMES[str(job["runtime"])])
    return dict(answer["ok"])


def _death(runtime: str, code: int, stderr: bytes) -> EdgekitError:
    """What is known of a runner that ended without an answer."""
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    last = f": {lines[-1].strip()}" if lines else ""
    if code == -signal.SIGKILL:
        return EnvironmentRefused(f"the process running {runtime} was killed{last}", "see whether memory ran out")
    return BackendMissing(f"the process running {runtime} ended {how}{last}", "try another runtime or version of it")
