"""Graph in, graph out: BatchNorm folded, padding absorbed, activations fused. One pass a file, each exact."""
