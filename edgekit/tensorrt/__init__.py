"""Building TensorRT engines where they run, and what each release can do; trtexec's flags and logs."""
