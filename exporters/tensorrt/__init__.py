"""The TensorRT format: an ONNX file that is built into an engine where it will run."""
