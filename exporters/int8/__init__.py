"""Quantization: recorded ranges become a quantized graph, which every format writes and a simulation runs."""
