"""Code that runs an artifact on one image, from nothing but its manifest: what to paste into one's own program.

To add a language: a module `snippets_<language>.py` with one function of a manifest and the parts that call its format
(`CALLS` in calls_<format>.py), and a line in SNIPPETS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgekit.errors import UsageError, nearest
from edgekit.inspection.snippets_cpp import cpp
from edgekit.inspection.snippets_kotlin import kotlin
from edgekit.inspection.snippets_python import python
from edgekit.records.formats import FORMATS
from edgekit.records.manifest import Manifest
from edgekit.records.preprocessing import check_input

SNIPPETS: dict[str, Callable[[Manifest, Mapping[str, str]], str]] = {"python": python, "cpp": cpp, "kotlin": kotlin}
GIVEN, TAKEN = ("float32", "uint8", "int8"), ("float32", "uint8", "int8", "int32", "int64")


def check_language(language: str) -> None:
    """Raises UsageError for a language without a snippet."""
    if language not in SNIPPETS:
        raise UsageError(f"no snippet in '{language}'{nearest(language, SNIPPETS)}", f"choose: {', '.join(SNIPPETS)}")


def snippet(manifest: Manifest, language: str) -> str:
    """A complete program in a language.

    Raises UsageError for a file that takes no images, that answers with more than scores, or of a format that has no
    call in this language.
    """
    check_language(language)
    parts = FORMATS[manifest.format].called_from(language)
    if parts is None:
        called = [name for name, format in FORMATS.items() if format.called_from(language)]
        raise UsageError(
            f"a snippet calls an {' or '.join(called)} file, not a {manifest.format} one",
            "export the network to one of these formats too",
        )
    if len(manifest.inputs) > 1 or len(manifest.outputs) > 1:
        sides = ((len(side), word) for side, word in ((manifest.inputs, "input"), (manifest.outputs, "output")))
        raise UsageError(
            f"a snippet prints the best classes of one image, and {manifest.file} has "
            + " and ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in sides),
            "call it from your own code",
        )
    check_input(manifest.preprocessing, manifest.variant.input_shape)
    if manifest.preprocessing.has_alpha:
        raise UsageError(
            f"a snippet prepares images of 1 or 3 channels, and {manifest.file} takes 4", "call it from your own code"
        )
    if len(manifest.outputs[0].shape) > 2:
        shape = "x".join(map(str, manifest.outputs[0].shape))
        raise UsageError(
            f"a snippet prints the best classes, and {manifest.file} gives {shape}", "call it from your own code"
        )
    given, taken = manifest.inputs[0].dtype, manifest.outputs[0].dtype
    if given not in GIVEN or taken not in TAKEN:
        raise UsageError(
            f"a snippet hands over {', '.join(GIVEN)}, and {manifest.file} takes {given} and gives {taken}",
            "call it from your own code",
        )
    return SNIPPETS[language](manifest, parts)
