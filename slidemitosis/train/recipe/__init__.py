"""Recipes: everything that decides how a model is trained, as data.

`recipe` loads and checks them; `recipes/` holds those of this package, and `backbones.toml` the networks that
they start from. Uses models, and no other part of training.
"""
