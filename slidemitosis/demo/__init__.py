"""The demo's slide and candidates, which contain no patient's data.

- `tissue`: draws tissue with known mitotic figures, a phantom; `chromatin`: the shapes in the figures.
- `files`: writes a phantom as a slide, its candidates and their true labels.

Uses the ground only.
"""
