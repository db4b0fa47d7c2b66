"""Everything that runs on a device, or here in the process that is measured: runner, passes, runtimes, sensors.

It stands alone: Python 3.8, the standard library and numpy, and each runtime where that is measured. It imports nothing
of edgekit, and itself by relative imports alone. `python FOLDER COMMAND ...` runs it (`__main__`), from this folder or
from a zip of it.
"""
