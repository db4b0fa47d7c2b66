"""Weights: read from each kind of file, fitted to a built network, drawn from a seed, or downloaded by name.

One reader a file format. Nothing here knows how a network is exported.
"""
