"""Write models for other programs, by torch.

- `onnx`: the graph that ONNX Runtime computes.
- `wsinfer`, `wsinfer_readme`: a folder with TorchScript for WSInfer and its QuPath extension.

Uses models and engines.
"""
