"""What runs an artifact: one module for each runtime, with `preload` and `open_session`."""
