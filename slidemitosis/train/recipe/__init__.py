"""Recipes: everything that decides how a model is trained, as data. `recipes` holds those of this package.

Uses models; no other part of training.
"""
