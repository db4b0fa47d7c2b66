"""The zoo as data: what works without torch, and what needs it. What is in them: tests/models/test_every_network.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edgekit
from edgekit.errors import UsageError
from edgekit.network import shipped
from edgekit.network.spec import variant

RUN = """
import sys
if {missing}: sys.modules["torch"] = None  # as where it is not installed
from edgekit.cli.main import main
code = main({arguments})
print("code", code, "torch" if sys.modules.get("torch") else "light", file=sys.stderr)
"""


def ran(*arguments: str, missing: bool) -> tuple[str, list[str]]:
    """What a command in a process of its own prints on stdout, and the lines on stderr; the last has its exit code."""
    code = RUN.format(missing=missing, arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("arguments", "shown", "missing"),
    [
        (("models",), "mobilenet_v2 ", True),
        (("models", "lenet5", "vgg16"), "vgg16 ", False),  # nor does it load torch where that is
        (("summary", "mobilenet", "--alpha", "0.5", "--res", "160"), "mobilenet_0.5_160", False),
        (("summary", "resnet101", "--option", "stride=1x1"), "resnet101_224_stride-1x1", True),
    ],
)
def test_what_is_published_needs_no_torch(arguments: tuple[str, ...], shown: str, missing: bool) -> None:
    out, err = ran(*arguments, missing=missing)
    assert shown in out
    assert err == ["code 0 light"]


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (("summary", "mobilenet", "--alpha", "0.6"), 5, "mobilenet_0.6_224 is not a published variant: counting it"),
        (("summary", "lenet5", "--classes", "11"), 5, "lenet5_32 is not a published variant"),
        (("summary", "mynet.py:build", "--input", "1,3,8,8"), 5, "counting mynet.py:build needs torch"),
        (("summary", "mobilnet"), 2, "did you mean 'mobilenet'"),
        (("summary", "lenet5", "--alpha", "0.5"), 2, "no width multiplier"),
        (("models", "lenet"), 2, "did you mean 'lenet5'"),
    ],
)
def test_what_needs_torch_says_so_in_one_line(arguments: tuple[str, ...], code: int, cause: str) -> None:
    out, err = ran(*arguments, missing=True)
    assert not out
    assert len(err) == 3 and cause in err[0]
    assert code != 5 or err[1] == "  fix: pip install 'edgekit[export]'"
    assert err[-1] == f"code {code} light"


def test_the_python_functions_need_none_either() -> None:
    code = "import sys; sys.modules['torch'] = None; import edgekit; print(len(edgekit.models('lenet5').rows))"
    code += "; print(edgekit.summary('lenet5').table.params)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "61706"]


def test_only_published_variants_are_there() -> None:
    spec = shipped.networks()["mobilenet"]
    assert shipped.layer_table(variant(spec, 0.5, 160)) is not None
    assert shipped.layer_table(variant(spec, 0.5, 161)) is None
    assert shipped.layer_table(variant(spec, classes=1001)) is None  # its name is that of 1000


def test_models_takes_names_and_keeps_their_order() -> None:
    assert [row.name for row in edgekit.models("vgg16", "lenet5").rows] == ["vgg16", "lenet5"]
    with pytest.raises(UsageError, match="unknown network 'vgg61'"):
        edgekit.models("vgg61")
