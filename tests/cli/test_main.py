"""The command line as a user meets it: what is on stdout, what on stderr, and how each failure ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgekit
from tests.command_line import edgekit as run
from tests.paths import ROOT
from tests.waiting import PATIENCE

EDGEKIT = [sys.executable, "-m", "edgekit"]
HEAVY = ("torch", "onnx", "onnxruntime", "tensorflow", "sqlalchemy", "pydantic", "numpy", "rich.console")


def python(code: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a few lines of Python in a process of their own."""
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | extra, capture_output=True, text=True, check=False
    )


def error(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The error that `--json` printed: the only thing on stdout, in exactly three keys."""
    document = json.loads(done.stdout)
    assert set(document) == {"error"} and set(document["error"]) == {"code", "message", "remedy"}
    found: dict[str, Any] = document["error"]
    return found


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from edgekit.cli.main import main; sys.argv = ['edgekit', '--help']; main(); "
    done = python(code + f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)")
    assert done.returncode == 0 and done.stderr.strip() == "[]"


EVERY_HELP = {
    *("edgekit", "edgekit.cli", "edgekit.cli.app", "edgekit.cli.main", "edgekit.cli.output", "edgekit.errors"),
    *("edgekit.redact", "edgekit.util", "edgekit.util.formatting"),
}
REPORT_HELP = EVERY_HELP | {"edgekit.cli.commands", "edgekit.cli.commands.report", "edgekit.cli.options"}


@pytest.mark.parametrize(("arguments", "modules"), [(["--help"], EVERY_HELP), (["report", "--help"], REPORT_HELP)])
def test_help_imports_the_modules_of_one_command_only(arguments: list[str], modules: set[str]) -> None:
    code = f"import sys, json; from edgekit.cli.main import main; main({arguments!r}); "
    done = python(code + "print(json.dumps([name for name in sys.modules if name.startswith('edgekit')]))")
    assert set(json.loads(done.stdout.splitlines()[-1])) == modules


def removed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a working folder that was removed."""
    folder.mkdir()
    command = ["sh", "-c", 'rmdir "$0"; exec "$@"', str(folder), *EDGEKIT, *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["models", "export lenet5", "bench a.onnx", "report", "sweep a.yaml", "demo"])
def test_a_working_folder_that_was_removed(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = run(*command.split())
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr == "error: the working folder was removed\n  fix: cd into one that is there\n"


def test_what_needs_no_working_folder(tmp_path: Path) -> None:
    done = removed(tmp_path / "gone", "doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["machine"]["free_disk_bytes"] is None
    assert "removed" in found["reasons"]["free_disk_bytes"]
    for command in ("doctor", "devices check local", "weights list", "export --help"):
        done = removed(tmp_path / "gone", *command.split())
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_no_arguments_is_help() -> None:
    assert run().stdout == run("--help").stdout
    assert run().returncode == 0


def test_version_in_a_process_of_its_own() -> None:
    done = subprocess.run([*EDGEKIT, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == run("--version").stdout == f"edgekit {edgekit.__version__}\n"


USAGE = {
    "expotr": "did you mean 'export'",
    "export": "missing argument 'model'",
    "export mobilenet --alpah 0.5": "--alpha",
    "export mobilenet --alpha wide": "--alpha",
    "export mobilenet --res 160px": "--res",
    "export mobilenet --format ,": "--format is empty",
    "export mobilenet --format onnx -f tflite": "--format was given more than once",
    "export mobilenet --alpha 0.5 --alpha 0.25": "--alpha was given more than once",
    "export mobilenet --input 1,3,wide": "--input",
    "summary lenet5 --option pool": "--option",
    "bench a.onnx --batch one": "--batch",
    "bench no-such-file.onnx": "no-such-file.onnx",
    "devices look": "devices",
    "devices check": "`edgekit devices check` needs a name",
    "devices check nowhere": "nowhere",
    "--nonsense": "--nonsense",
}


def test_the_devices_that_can_be_checked_are_listed(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text("devices: {board: {link: ssh, host: board, runtimes: [onnxruntime]}}")
    assert "add one of: local, board" in run("devices", "check", cwd=tmp_path).stderr


def test_a_usage_line_has_one_pair_of_brackets_for_what_may_be_left_out() -> None:
    assert run("weights", "--help").stdout.splitlines()[0].endswith("[list|pull] [NAME]...")


def test_lists_are_given_once_and_with_commas() -> None:
    done = run("export", "lenet5", "--format", "onnx", "--format", "tflite")
    assert "fix: give it once, as --format F,F" in done.stderr
    done = run("summary", "lenet5", "--option", "pool=max", "--option", "pool=avg", "--json", "--json")
    assert "more than once" not in done.stdout + done.stderr  # repeatable, and a flag


@pytest.mark.parametrize("command", USAGE)
def test_a_usage_error_is_one_line_of_cause_and_one_of_remedy(command: str, tmp_path: Path) -> None:
    done = run(*command.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    cause, remedy = done.stderr.rstrip("\n").split("\n")
    assert cause.startswith("error: ") and USAGE[command].lower() in cause.lower()
    assert remedy.startswith("  fix: ") and len(remedy) > 8
    as_json = error(done_json := run(*command.split(), "--json", cwd=tmp_path))
    assert (done_json.returncode, done_json.stderr, as_json["code"]) == (2, "", "usage")
    assert cause == f"error: {as_json['message']}" or "--json" in as_json["message"]


@pytest.mark.parametrize("arguments", ["--alpha 0", "--alpha nan", "--res 31", "--format onxx", "--precision int7"])
def test_what_the_library_refuses_comes_out_the_same_way(arguments: str, tmp_path: Path) -> None:
    done = run("export", "mobilenet", *arguments.split(), "--json", cwd=tmp_path)
    assert (done.returncode, error(done)["code"]) == (2, "usage")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


BOOM = (
    "import sys, edgekit\nfrom edgekit.cli.main import main\n"
    "def boom(**_): {}\nedgekit.doctor = boom\nsys.exit(main({}))"
)


def test_a_bug_is_one_line_and_a_file_with_the_traceback(tmp_path: Path) -> None:
    done = python(BOOM.format("raise RuntimeError('two\\nlines')", ["doctor"]), TMPDIR=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 2)
    assert "a bug of edgekit: RuntimeError: two lines" in done.stderr
    (saved,) = tmp_path.glob("edgekit-*.txt")
    assert str(saved) in done.stderr and "Traceback" in saved.read_text(encoding="utf-8")


def test_a_bug_shows_its_traceback_where_that_is_asked_for(tmp_path: Path) -> None:
    done = python(BOOM.format("raise RuntimeError", ["doctor"]), TMPDIR=str(tmp_path), EDGEKIT_DEBUG="1")
    assert done.returncode == 1 and "Traceback" in done.stderr and not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("raised", "exit_code", "code"),
    [
        (edgekit.GateFailed("a", "b"), 3, "gate"),
        (edgekit.DeviceUnreachable("a", "b"), 4, "device"),
        (edgekit.BackendMissing("a", "b"), 5, "backend"),
        (edgekit.MeasurementInvalid("a", "b"), 6, "measurement"),
        (edgekit.EnvironmentRefused("a", "b"), 7, "environment"),
        (OSError(28, "No space left on device"), 7, "environment"),
        (MemoryError(), 7, "environment"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError(), 1, "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_each_kind_of_error_has_its_exit_code(
    raised: BaseException, exit_code: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(**_: object) -> None:
        raise raised

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(edgekit, "doctor", boom)
    done = run("doctor", "--json")
    assert (done.returncode, error(done)["code"]) == (exit_code, code)


def test_with_json_stdout_holds_one_object_whatever_libraries_print() -> None:
    noise = "print('python'); import os; os.write(1, b'C'); raise edgekit.GateFailed('a', 'b')"
    done = python(BOOM.format(noise, ["doctor", "--json"]))
    assert error(done)["code"] == "gate"
    assert "python" in done.stderr and "C" in done.stderr


SLOW = "import time\ndef build():\n    print('building', flush=True)\n    time.sleep(10**6)\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_quietly_and_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    command = [*EDGEKIT, "export", "slow.py:build", "--input", "1,3,32,32", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "building" in line:
                break
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert json.loads(stdout)["error"]["code"] == "interrupted"
    assert "Traceback" not in stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert left == [tmp_path / "slow.py"]


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*EDGEKIT, "doctor"], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("more", "code"), [("", 7), ("--json", 7), ("--nonsense", 2), ("--nonsense --json", 2)])
def test_a_full_stdout_is_told_on_stderr(more: str, code: int) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [*EDGEKIT, "models", *more.split()]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    cause, remedy = done.stderr.splitlines()
    assert done.returncode == code and cause.startswith("error: ") and remedy.startswith("  fix: ")
    assert ("No space left" in cause) == (code == 7)


@pytest.mark.parametrize("more", ["", " --json"])
@pytest.mark.parametrize(("closed", "code"), [(">&-", 7), ("2>&-", 0), (">&- 2>&-", 7)])
def test_a_closed_stream_is_no_bug(closed: str, code: int, more: str, tmp_path: Path) -> None:
    line = f"'{sys.executable}' -m edgekit models{more} {closed}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code and bool(done.stdout) == (code == 0)
    assert ("stdout is closed" in done.stderr) == (closed == ">&-") and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_other_names_of_options_are_accepted() -> None:
    code = """
import edgekit, json, sys
from types import SimpleNamespace
asked = {}
def export(model, **options):
    asked.update(options)
    return SimpleNamespace(to_json=lambda: {"artifacts": [], "failed": []}, exit_code=0, notes=())
edgekit.export = export
from edgekit.cli.main import main
status = main(["export", "mobilenet", "--half", "--int8", "--imgsz", "160", "-f", "litert,engine", "--option", "a=b"])
asked = {key: str(value) for key, value in asked.items()}
print(json.dumps(asked), file=sys.stderr)
"""
    asked = json.loads(python(code).stderr)
    assert asked["precision"] == "('fp16', 'int8')" and asked["res"] == "160"
    assert asked["format"] == "('litert', 'engine')" and asked["options"] == "{'a': 'b'}"
