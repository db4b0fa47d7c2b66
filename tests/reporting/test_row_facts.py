"""What a row of a report is derived from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgekit.records.breakdown import Breakdown, Confusion
from edgekit.reporting.row_facts import QUANTILES, provenance, quantiles

if TYPE_CHECKING:
    from tests.reporting.conftest import Records


def test_quantiles_are_of_all_samples_in_milliseconds(make: Records) -> None:
    runs = make.measurement(make.manifest(), processes=3).runs
    samples = np.concatenate([run.samples_ns for run in runs]) / 1e6
    found = quantiles(runs)
    assert found is not None and list(found) == sorted(found)
    assert np.allclose(found, np.quantile(samples, QUANTILES), atol=1e-6)
    assert quantiles([]) is None


def test_a_foreign_file_tells_how_it_was_measured_alone(make: Records) -> None:
    known = provenance(make.measurement(make.manifest()), None)
    assert {"File", "Exported", "Weights", "Parity", "Measured", "Protocol", "Memory"} <= set(known)
    assert set(provenance(make.measurement(None), None)) == {"File", "Measured", "Protocol", "Found", "Memory"}


def test_where_an_accuracy_is_lost_stands_beside_it(make: Records) -> None:
    one = Confusion(label=0, said=1, n=2, images=("a.png",))
    lost = Breakdown(counts=((0, 0, 1), (0, 1, 2)), names={0: "cat"}, confusions=(one,), mistakes=(), confidence=None)
    record = make.accuracy(make.manifest()).model_copy(update={"breakdown": lost})
    told = provenance(None, record)["Evaluated"]
    assert (told["weakest class"], told["most confused"]) == ("cat, 33.3 % of 3", "cat as 1, 2 (a.png)")
    assert "weakest class" not in provenance(None, make.accuracy(make.manifest()))["Evaluated"]  # an older record
