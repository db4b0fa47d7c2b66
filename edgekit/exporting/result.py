"""What an export gives: the artifacts that were made, and what failed and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import Failure, worst_exit_code
from edgekit.exporting.parity import told_of
from edgekit.exporting.thresholds import in_words
from edgekit.records.artifact import Artifact
from edgekit.records.manifest import manifest_path
from edgekit.util.tabled import Tabled


@dataclass(frozen=True, repr=False)
class ExportResult(Tabled):
    """What was made and what was not, by format and precision; `notes` are for the person who asked.

    `reused` are those of the artifacts that were there already, made from the same inputs. `assumed` is what
    some of the notes say was assumed of the weights.
    """

    artifacts: tuple[Artifact, ...]
    failed: tuple[Failure, ...]
    notes: tuple[str, ...] = ()
    reused: tuple[Path, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or the first that applies in the documented order."""
        return worst_exit_code(failure.exit_code for failure in self.failed)

    def to_json(self) -> dict[str, Any]:
        """{"artifacts": [...], "failed": [...], "notes": [...]}"""
        return {
            "artifacts": [
                _artifact_json(artifact) | {"reused": artifact.path in self.reused} for artifact in self.artifacts
            ],
            "failed": [failure.to_json("reason", "remedy", "code") for failure in self.failed],
            "notes": list(self.notes),
        }


def _artifact_json(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest
    assert manifest is not None
    parity = manifest.parity
    return {
        "path": str(artifact.path),
        "manifest": str(manifest_path(artifact.path)),
        "format": manifest.format,
        "precision": manifest.precision,
        "bytes": manifest.bytes,
        "seconds": manifest.seconds,
        "parity": {
            "passed": parity.passed,
            "max_abs_error": parity.max_abs_error,
            "max_rel_error": parity.max_rel_error,
            "cosine": parity.cosine,
            "top1_agreement": parity.top1_agreement,
            "told_of": told_of(manifest.precision, parity.n, parity.n_real),
            "snr_db": parity.snr_db,
            "n": parity.n,
            "n_real": parity.n_real,
            "reasons": list(parity.reasons),
            "asked": in_words(manifest.precision),
        },
        "accuracy_drop": manifest.details.get("accuracy_drop"),
        "operators": manifest.operators,
    }
