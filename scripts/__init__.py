"""Tools of the project that are no tests: benchmarks, the page of the zoo, checks on special hardware.

Run one with `python -m scripts.NAME`.
"""
