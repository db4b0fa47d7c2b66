"""The network as data: the graph, its reference kernels, the passes over it, and what is counted on it.

Nothing here knows where a graph came from or in which format it will be written.
"""
