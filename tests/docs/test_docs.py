"""The documents tell the truth: every command has help, an example that runs, its function, and a place in README."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import edgekit
from edgekit.cli.app import app, command
from edgekit.cli.output import write
from edgekit.errors import EXIT_PRECEDENCE, EdgekitError
from tests.command_line import edgekit as typed
from tests.conftest import once
from tests.paths import ROOT

APART = ("edgekit demo", "edgekit weights pull", "edgekit worker")
# On a machine that is busy with other tests a measurement may rightly be called invalid, or slower than another.
NOISE = {"bench": (6,), "choose": (3, 6), "compare": (3, 6), "reproduce": (6,), "sweep": (6,)}
STORED = ("store", "choose", "report", "compare", "sweep", "bench", "eval")  # what people ask often, in many ways
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = {one.name or "": one for one in typer.main.get_group(app).commands.values()}


def examples(name: str) -> list[str]:
    """The example lines in a command's help."""
    text = (COMMANDS[name].help or "").partition("Example:")[2]
    return [line.strip() for line in text.splitlines() if line.strip().startswith("edgekit ")]


def fenced(text: str) -> Iterator[str]:
    """The commands in a document's shell blocks."""
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from (line for line in block.replace("\\\n", "").splitlines() if line.startswith("edgekit "))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_an_example_a_function_and_a_place_in_readme(name: str) -> None:
    assert COMMANDS[name].help
    assert len(examples(name)) >= (2 if name in STORED else 1), f"{name} has too few examples"
    assert all(example.startswith(f"edgekit {name}") for example in examples(name))
    assert name in edgekit.__all__
    assert f"edgekit {name}" in README
    assert {"--json", "--help"} <= {option for param in COMMANDS[name].params for option in param.opts} | {"--help"}


def test_every_verb_is_a_command() -> None:
    assert list(COMMANDS) == list(edgekit.COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_line_of_help_is_that_of_the_table(name: str) -> None:
    assert (COMMANDS[name].help or "").splitlines()[0] == edgekit.COMMANDS[name][2]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_says_what_it_is_for(name: str) -> None:
    for param in COMMANDS[name].params:
        assert getattr(param, "help", None), f"{name} {param.name} has no help"


# What runs before the others: the first export of README, and the measurements that `compare` needs.
EXPORT = "edgekit export mobilenet --alpha 0.5 --res 160"
BENCH = "edgekit bench demo/artifacts/lenet5_32/*.tflite demo/artifacts/lenet5_32/*.onnx --threads 1 --preset quick"


def runnable() -> list[str]:
    """Every command in the help texts and documents, each once, but for the demo, which has a test of its own, what
    runs before the others, and what downloads or needs a scheduler."""
    found = [example for name in COMMANDS for example in examples(name)]
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        found += fenced(path.read_text(encoding="utf-8"))
    return [line for line in dict.fromkeys(found) if not line.startswith(APART) and line not in (EXPORT, BENCH)]


# Prints the arguments that a shell makes of a command, as it finds files for a pattern.
SPLIT = "edgekit() {{ printf '%s\\0' \"$@\"; }}; {}"


def run(line: str, folder: Path) -> tuple[int, str]:
    """The exit code and the text of one command, run as a reader types it but for its process."""
    split = subprocess.run(["bash", "-c", SPLIT.format(line)], cwd=folder, capture_output=True, text=True, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        outcome = command(split.stdout.split("\0")[:-1])
        assert outcome is not None
        write(outcome, "--json" in line, stream := io.StringIO())
    return outcome.exit_code, stream.getvalue()


@pytest.fixture(scope="session")
def reader(small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the demo and the first export of README ran, and two measurements, which `compare` needs."""

    def prepare(folder: Path) -> None:
        shutil.copytree(small_demo, folder, dirs_exist_ok=True)
        for line in (EXPORT, BENCH, BENCH):
            code, text = run(line, folder)
            assert code in (0, *NOISE.get(line.split()[1], ())), text

    return once(tmp_path_factory, "reader", prepare)


@pytest.mark.slow
@pytest.mark.parametrize("line", runnable())
def test_a_command_in_help_or_a_document_runs(line: str, reader: Path, tmp_path: Path) -> None:
    code, text = run(line, shutil.copytree(reader, tmp_path / "reader"))
    assert code in (0, *NOISE.get(line.split()[1], ())) and text, text


def samples() -> dict[str, str]:
    """What README shows under a block of commands, by the last of them."""
    found = re.findall(r"^```bash\n(.*?)^```\n```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return {block.splitlines()[-1]: shown for block, shown in found}


def lines(text: str, command: str) -> set[str]:
    """The lines of an output, without the times and errors that an export may differ in."""
    varies = r"\d+\.\d(?= )|\d[\d.]*(e-\d+)? %(?=  )" if command.startswith("edgekit export") else r"(?!)"
    return {" ".join(re.sub(varies, "#", line).split()) for line in text.splitlines()}


@pytest.mark.parametrize("line", samples())
def test_readme_shows_what_a_command_prints(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)
    monkeypatch.setenv("COLUMNS", "160")
    done = typed(*line.split()[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert lines(samples()[line], line) <= lines(done.stdout + done.stderr, line)


def test_readme_lists_the_exit_codes() -> None:
    kinds: list[type[EdgekitError]] = [EdgekitError, *EdgekitError.__subclasses__()]
    for code in {0, 130, *EXIT_PRECEDENCE, *(kind.exit_code for kind in kinds)}:
        assert re.search(rf"^\| {code} \|", README, re.MULTILINE), f"README does not explain exit code {code}"


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/measuring.md"])
def test_links_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / path).parent / target).exists(), f"{path} links to {target}"


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{edgekit.__version__}]" in changelog
