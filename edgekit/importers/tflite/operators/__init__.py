"""What each of TFLite's operators is in torch: one function an operator, one file a family.

A function takes the node and its inputs as `Held` (held.py: a tensor, and where the file's axes lie in it; None for one
that is left out) and gives a `Held`, or several.
"""
