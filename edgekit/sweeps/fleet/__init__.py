"""Sweeps on the machines of a Dask cluster: the engine that gives them jobs, and the worker that does them."""
