"""What a message says of options, in Python's words; and every option of the command line has a keyword."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

import edgekit
from edgekit.bench.android.delegates import DELEGATES
from edgekit.bench.ondevice.runtimes.torch import PROVIDERS
from edgekit.cli.app import Commands
from edgekit.errors import UsageError
from edgekit.evaluation.command import eval
from edgekit.exporting.command import export
from edgekit.exporting.options import OPTIONS
from edgekit.inspection.snippets import SNIPPETS
from edgekit.keywords import VALUES, in_python, keyword
from edgekit.records.formats import FORMATS, HEADS, PRECISIONS
from edgekit.records.measurement import PRESETS
from edgekit.records.runtime import RUNTIMES
from edgekit.reproduction.command import reproduce
from edgekit.sweeps.command import sweep

LOADED = (eval, export, reproduce, sweep)  # whose keywords are known then
pytestmark = pytest.mark.usefixtures("in_words_of_python")
# What only a command line says: how to print, and other words for what has a keyword.
SPOKEN = {
    *("json", "quiet", "verbose", "help", "half", "int8", "markdown"),
    "devices --yes",
    *(f"{verb} --format" for verb in ("models", "summary", "inspect", "compare", "store")),
}
TEXTS = {
    "say --classes-by-order where their order is right": "say classes_by_order=True where their order is right",
    "add --precision int8": 'add precision="int8"',
    "add --format tflite --precision int8": 'add format="tflite", precision="int8"',
    "choose --format md,csv,json": 'choose format="md,csv,json"',
    "leave --io out": "leave `io` out",
    "leave --dynamic-batch out, or write it": "leave dynamic_batch=True out, or write it",
    "give the names with --labels FILE, or a folder": "give the names with labels=FILE, or a folder",
    "--max-drop was not told from which file": "`max_drop` was not told from which file",
    "write NAME as --input image=1,3,224,224": 'write NAME as input={"image": (1, 3, 224, 224)}',
    "say how large: --input 1,3,224,224.": "say how large: input=(1, 3, 224, 224).",
    "give a shape for each: --input x=1,...": 'give a shape for each: input={"x": (1, ...)}',
    "ask for fewer with --threads 4": "ask for fewer with threads=4",
    "write --opset 17; it is newer": "write opset=17; it is newer",
    "another network: --option stride=1x1": 'another network: options={"stride": "1x1"}',
    "write, say, --target-gpu 8.9": 'write, say, target_gpu="8.9"',
    "give one, say --device 'pi 4'": "give one, say device='pi 4'",
    "run it with --continue, or --with net.py:build": 'run it with continue_=True, or own="net.py:build"',
    "run `edgekit bench FILE --threads 1` first": "run `edgekit bench FILE --threads 1` first",
    "trtexec knows no --exportTimes, nor --shapes": "trtexec knows no --exportTimes, nor --shapes",
    "nothing of the kind": "nothing of the kind",
}


@pytest.mark.parametrize("text", TEXTS)
def test_an_option_is_a_keyword_in_python(text: str) -> None:
    assert in_python(text) == TEXTS[text]


def test_an_error_says_its_cause_and_its_remedy_in_the_words_of_python() -> None:
    with pytest.raises(UsageError) as caught:
        edgekit.export("mobilenet", precision=["int8"], weights="random")
    cause, remedy = str(caught.value).splitlines()
    assert cause == "int8 needs images to calibrate with"
    assert remedy == "  fix: add data=FOLDER, or synthetic_calibration=True where only latency matters"
    assert caught.value.remedy.startswith("add --data FOLDER, or --synthetic-calibration")  # as a command line says it


def options(command: Any) -> list[str]:
    """The long names of a command's options, without dashes."""
    names = (name for one in command.params if one.param_type_name == "option" for name in one.opts)
    return [name.removeprefix("--") for name in names if name.startswith("--")]


@pytest.mark.parametrize("name", edgekit.COMMANDS)
def test_every_option_of_the_command_line_is_a_keyword_of_its_verb(name: str) -> None:
    module, function, _ = edgekit.COMMANDS[name]
    known = inspect.signature(getattr(importlib.import_module(module), function)).parameters
    spoken = {one for one in options(Commands()[name]) if not {one, f"{name} --{one}"} & SPOKEN}
    assert {one for one in spoken if keyword(one) not in known} == set()


def test_every_word_that_is_a_value_of_an_option_is_known_as_one() -> None:
    choices = {word for option in OPTIONS.values() for word in option.choices}
    processors = {*PROVIDERS, *DELEGATES} - {"none"}  # which begins too many sentences
    assert {*choices, *FORMATS, *PRECISIONS, *HEADS, *RUNTIMES, *PRESETS, *SNIPPETS, *processors} <= VALUES
