"""What Android's own tools say, read: dumpsys, getprop, benchmark_model."""
