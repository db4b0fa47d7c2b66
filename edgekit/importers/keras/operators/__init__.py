"""What each layer and operation of Keras computes, in calls of torch.

A function gets the layer (`Node`) and what it is called with, and gives a `Held` (edgekit.importers.held).
"""
