"""Code that runs an artifact on one image or on arrays, from its manifest alone: what to paste into one's own program.

To add a language: a module `snippets_<language>.py` with one function of a `Call` and the parts that call its format
(`CALLS` in calls_<format>.py), and a line in SNIPPETS; the same for arrays, and a line in ON_ARRAYS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgekit.errors import UsageError, nearest
from edgekit.inspection.snippets_arrays import arrays
from edgekit.inspection.snippets_arrays_cpp import arrays_cpp
from edgekit.inspection.snippets_arrays_kotlin import arrays_kotlin
from edgekit.inspection.snippets_call import Call
from edgekit.inspection.snippets_cpp import cpp
from edgekit.inspection.snippets_kotlin import kotlin
from edgekit.inspection.snippets_python import python
from edgekit.records.formats import FORMATS
from edgekit.records.manifest import Manifest
from edgekit.records.preprocessing import check_input

Write = Callable[[Call, Mapping[str, str]], str]
SNIPPETS: dict[str, Write] = {"python": python, "cpp": cpp, "kotlin": kotlin}
ON_ARRAYS: dict[str, Write] = {"python": arrays, "cpp": arrays_cpp, "kotlin": arrays_kotlin}
GIVEN, TAKEN = ("float32", "uint8", "int8"), ("float32", "uint8", "int8", "int32", "int64", "bool")
IN_PYTHON = (*GIVEN, "int16", "int32", "int64", "bool")


def check_language(language: str) -> None:
    """Raise UsageError for a language without a snippet."""
    if language not in SNIPPETS:
        raise UsageError(f"no snippet in '{language}'{nearest(language, SNIPPETS)}", f"choose: {', '.join(SNIPPETS)}")


def snippet(manifest: Manifest, language: str, path: Path) -> str:
    """Return a complete program in a language: of one image and its best classes, else of an array for each input.

    It finds the file beside itself, else at `path`. In Kotlin it is handed over, as apps have no paths of assets.

    Raises UsageError for a file of a format or of types that have no call in this language.
    """
    check_language(language)
    parts = FORMATS[manifest.format].called_from(language)
    if parts is None:
        called = [name for name, format in FORMATS.items() if format.called_from(language)]
        raise UsageError(
            f"a snippet calls an {' or '.join(called)} file, not a {manifest.format} one",
            "export the network to one of these formats too",
        )
    given = IN_PYTHON if language == "python" else GIVEN
    for tensor, known in (*((x, given) for x in manifest.inputs), *((y, TAKEN) for y in manifest.outputs)):
        if tensor.dtype not in known:
            raise UsageError(
                f"a snippet hands over {', '.join(given)} and reads {', '.join(TAKEN)}, and {tensor.name} of "
                f"{path.name} is {tensor.dtype}",
                "--snippet python knows more types" if tensor.dtype in IN_PYTHON else "call it from your own code",
            )
    return (SNIPPETS if _classifies_images(manifest) else ON_ARRAYS)[language](Call(manifest, path.absolute()), parts)


def _classifies_images(manifest: Manifest) -> bool:
    """Whether a file answers one image with scores."""
    if len(manifest.inputs) > 1 or len(manifest.outputs) > 1 or len(manifest.outputs[0].shape) > 2:
        return False
    try:
        check_input(manifest.preprocessing, manifest.variant.input_shape)
    except UsageError:
        return False
    return True
