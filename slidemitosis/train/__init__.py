"""Training: from labelled figures to models that `classify` takes, and their scores.

Each part uses those before it: `recipe`, `data`, `fit`, `evaluate`; then `decisions`, `export` and `readme`,
which make a model's folder; `run`, `command` and `tune`, which do a whole training. `paths` and `provenance`
name files and versions.

Uses engines, models, prediction, reading and slides.
"""
