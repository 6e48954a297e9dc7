"""Engines: what computes a model's outputs for batches of patches.

- `engine`: the outputs, and the protocol `Engine` that every engine follows.
- `choose`: loads a model into the engine that fits the options and the machine.
- `onnx_engine`: ONNX Runtime on the CPU; `torch_engine`: torch on any device.

Uses models. torch and onnxruntime are imported only by the engine that is chosen.
"""
