"""What a runtime tells of its operators: one module for each runtime that has a profiler, with `profile`."""
