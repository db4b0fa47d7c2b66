"""Names that a stranger's manifest brings: in each language a literal or a comment, and nothing else."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.inspection.snippets import snippet
from edgekit.inspection.snippets_call import cpp_literal, in_comment, kotlin_literal
from edgekit.records.manifest import Manifest
from tests.inspection.programs import CASES, manifest_of, run

NASTY = (
    *(chr(code) for code in (*range(1, 32), 0x7F, 0x85, 0xA0, 0x2028, 0x2029, 0x202E, 0x2066, 0xFEFF, 0x1F600)),
    *(
        '"',
        "'",
        "\\",
        "$",
        "${1}",
        "$x",
        "%s%n",
        "*/",
        "/*",
        '"""',
        "??/",
        "\\u0022",
        "\\x41f",
        "{}",
        "{0}",
        "\t1",
        "é1",
    ),
    '"); import os; os.system("touch ran"); ("',
)
EVERY = "a" + "b".join(NASTY) + "7"


def program(made: Manifest, format: str, name: str, language: str) -> str:
    """A program of a manifest in which everything that is free text is `name`, as is the file's own."""
    manifest = manifest_of(made, format, CASES["color"])
    variant = manifest.variant.model_copy(update={"name": name})
    given, taken = (one.model_copy(update={"name": name}) for one in (manifest.inputs[0], manifest.outputs[0]))
    fields = {"file": name, "variant": variant, "precision": name, "inputs": (given,), "outputs": (taken,)}
    manifest = manifest.model_copy(update={**fields, "labels": (name,) * 12})
    return snippet(manifest, language, Path("/", in_folder(name)))


def in_folder(name: str) -> str:
    """What a file can be called."""
    return name.replace("/", "|")


@pytest.mark.parametrize("format", ["onnx", "tflite"])
@pytest.mark.parametrize("name", [*NASTY, EVERY], ids=ascii)
def test_a_name_in_python_is_that_name_and_nothing_else(name: str, format: str, made: Manifest) -> None:
    tree, plain = (ast.parse(program(made, format, given, "python")) for given in (name, "a"))
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert in_folder(name) in strings and f"/{in_folder(name)}" in strings
    assert [type(node) for node in ast.walk(tree)] == [type(node) for node in ast.walk(plain)]


@pytest.mark.parametrize("literal", [cpp_literal, kotlin_literal])
def test_a_literal_has_one_line_of_plain_signs(literal: Callable[[str], str]) -> None:
    for text in (*NASTY, EVERY, *map(chr, range(256))):
        written = literal(text)
        assert written.isascii() and written.isprintable() and "$" not in written and "*/" not in written
        assert written[0] == written[-1] == '"' and '"' not in written[1:-1]


def test_a_comment_never_ends_early() -> None:
    for text in (*NASTY, EVERY):
        shown = in_comment(text)
        assert shown.isprintable() and not set(shown) & set("\\\"'*/?$\n\r") and len(shown) == len(text)


def test_cpp_reads_back_every_sign(tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    texts = [*NASTY, EVERY, *(chr(code) for code in range(1, 0x180))]
    rows = "\n".join(f"  {cpp_literal(text)}," for text in texts)
    (tmp_path / "a.cc").write_text(
        f"#include <cstdio>\nconst char* all[] = {{\n{rows}\n}};\nint main() {{ for (auto s : all) std::puts(s); }}\n"
    )
    run([compiler, "-std=c++14", "-trigraphs", "-Wall", "-Werror", "a.cc", "-o", "a"], tmp_path)
    printed = subprocess.run([str(tmp_path / "a")], capture_output=True, check=True).stdout
    assert printed == b"".join(text.encode() + b"\n" for text in texts)


def test_kotlin_reads_back_every_sign() -> None:
    """By the rules of its grammar: \\uXXXX is one UTF-16 unit, and there is no other escape in ours."""
    for text in (*NASTY, EVERY, *(chr(code) for code in range(0x180))):
        inside = kotlin_literal(text)[1:-1]
        units = re.findall(r"\\u([0-9a-f]{4})|([^\\])", inside)
        assert re.fullmatch(r"(\\u[0-9a-f]{4}|[^\\$\"])*", inside)
        codes = b"".join((int(code, 16) if code else ord(sign)).to_bytes(2, "big") for code, sign in units)
        assert codes.decode("utf-16-be") == text


@pytest.mark.parametrize("format", ["onnx", "tflite"])
@pytest.mark.parametrize("language", ["cpp", "kotlin"])
def test_a_program_is_the_same_but_for_its_names(language: str, format: str, made: Manifest) -> None:
    for name in (*NASTY, EVERY):
        text, plain = (program(made, format, given, language) for given in (name, "a"))
        literal = cpp_literal if language == "cpp" else kotlin_literal
        back = text.replace(literal(name), literal("a")).replace(in_comment(name), "a")
        for file in (in_folder(name), f"/{in_folder(name)}"):
            back = back.replace(literal(file), literal(file.replace(in_folder(name), "a")))
        back = back.replace(in_comment(in_folder(name)), "a")
        assert back == plain.replace(in_comment(name), "a").replace(in_comment(in_folder(name)), "a")
        assert "ran" not in plain and text.count("\n") == plain.count("\n")
