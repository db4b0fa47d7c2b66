"""Which ONNX operator sets are written, and the format's version that goes with each."""

DEFAULT_OPSET = 17
# The oldest IR version that admits each opset: what old runtimes still read.
IR_VERSIONS = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9}
