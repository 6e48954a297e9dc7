"""Labelled figures: their layouts on disk, folds, and leaks between data sets.

- figures: the figures of a data set in memory.
- read: any layout by its name, as docs/data.md explains; ami_br, class_folders, midog25, patch_table,
  on_slides and reviewed read one each, by way of table, rows and patches.
- gather, leakage, seen: what to train on and what to score, without figures or slides in both.
- split: folds. describe: a data set as text.

Uses recipe, reading and slides for figures that are on slides, and review for what persons said of them.
"""
