"""What is said of a user's function that raises, and what torch does not say of one that loads its weights."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgekit

torch = pytest.importorskip("torch")

HEAD = "from pathlib import Path\nimport pickle\nimport torch\nfrom torch import nn\n\n\n"
LOADS = """def build():
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    network.load_state_dict(torch.load(Path(__file__).with_name("mynet.pth"), weights_only=True))
    return network
"""
RAISES = {
    # the function -> what is said of the error, the remedy
    "a missing file": (
        "def build():\n    return torch.load('no.pth')\n",
        "FileNotFoundError: [Errno 2] No such file or directory: 'no.pth'",
        "look at line 8 of net.py: return torch.load('no.pth')",
    ),
    "colors": (
        "def build():\n    raise pickle.UnpicklingError('no \\x1b[1mweights\\x1b[0m \\x1b]0;\\x07here\\nmore')\n",
        "UnpicklingError: no weights \\x1b]0;\\x07here",
        "look at line 8 of net.py: raise pickle",
    ),
    "a type": (
        "def build():\n    return 1 + 'a'\n",
        "TypeError: unsupported operand",
        "look at line 8 of net.py: return 1 + 'a'",
    ),
    "a signature": ("def build(width):\n    pass\n", "TypeError: build() missing 1", "it is called without arguments"),
    "an import": (
        "import no_such_thing\n",
        "No module named 'no_such_thing'",
        "line 7 of net.py: import no_such_thing",
    ),
    "a syntax": ("def build(:\n", "SyntaxError: invalid syntax", "look at line 7 of net.py: def build(:"),
}


@pytest.mark.parametrize("name", RAISES)
def test_an_error_is_said_with_its_line(name: str, tmp_path: Path) -> None:
    does, said, remedy = RAISES[name]
    (tmp_path / "net.py").write_text(HEAD + does)
    with pytest.raises(edgekit.UsageError) as caught:
        edgekit.summary(f"{tmp_path}/net.py:build", input=(1, 3, 8, 8))
    assert said in caught.value.message and "\x1b" not in str(caught.value)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("given", [None, "other.pth"])
def test_the_weights_that_are_used_are_those_given_or_those_loaded(
    given: str | None, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    onnxruntime, numpy = pytest.importorskip("onnxruntime"), pytest.importorskip("numpy")
    (tmp_path / "net.py").write_text(HEAD + LOADS)
    for name, value in (("mynet.pth", 1.0), ("other.pth", 2.0)):
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2))
        torch.save({key: torch.full_like(one, value) for key, one in network.state_dict().items()}, tmp_path / name)
    weights = given and str(tmp_path / given)
    made = edgekit.export(
        f"{tmp_path}/net.py:build", input=(1, 3, 3, 3), format="onnx", weights=weights, out=tmp_path / "out"
    )
    ready = onnxruntime.InferenceSession(str(made.artifacts[0].path))
    found = ready.run(None, {ready.get_inputs()[0].name: numpy.ones((1, 3, 3, 3), "f4")})[0].flat[0]
    scale = 2.0 if given else 1.0  # of every tensor, on an image of ones: 27 products and a bias, then the norm
    assert found == pytest.approx(scale * (28 * scale - scale) / (scale + 1e-5) ** 0.5 + scale, rel=1e-5)
    assert not [one for one in recwarn if "no-op" in str(one.message)]
