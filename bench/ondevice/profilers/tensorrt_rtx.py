"""The profiler of TensorRT for RTX: TensorRT's own."""

from __future__ import annotations

from .tensorrt import profile as profile
