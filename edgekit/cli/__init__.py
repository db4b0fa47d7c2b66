"""The command line: parse, call the one function of the command's name, print.

No logic of the product lives here, and importing this package imports nothing heavy.
"""

from edgekit.cli.main import main as main
