"""The ONNX format: graphs written operator by operator."""
