"""Files of other programs -> networks that the front-end can follow. A package for each format, with its operators.

A reader gives a `Source` (source.py): a module whose forward() calls torch for each operator of the file, and what
stands in the file beside it. What is behind the front-end takes that as it takes a network that was written in torch.
"""
