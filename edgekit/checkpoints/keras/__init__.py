"""Weights from Keras files: `.h5` of Keras 2 and 3, `.weights.h5` and `.keras`.

A file's own configuration says which layers it has in which order (`config`) and what they compute (`chain`): names do
not matter. Files of weights alone have none: their layers are taken in the order in which they stand there (`arrays`).
"""
