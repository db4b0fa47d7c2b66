"""How a program calls an archive of torch: what edgekit.inspection.snippets puts between an image and the classes."""

PYTHON = """
import torch
beside = {"labels": ""}
program = torch.export.load(str(MODEL), extra_files=beside)
y = program.module()(torch.from_numpy(np.ascontiguousarray(x))).numpy()
"""
ARRAYS = """
import json
import torch
beside = {"names": ""}
program = torch.export.load(str(MODEL), extra_files=beside)
results = program.module()(*map(torch.from_numpy, inputs.values()))
results = results if isinstance(results, tuple) else (results,)
results = dict(zip(json.loads(beside["names"])["outputs"], results))
"""
CALLS = {"python": {"run": PYTHON, "arrays": ARRAYS, "names": 'names = beside["labels"].splitlines()'}}
