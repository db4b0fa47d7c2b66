"""Reads Keras models: `.keras`, and `.h5` with its configuration."""
