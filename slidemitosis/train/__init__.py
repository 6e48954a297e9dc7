"""Train models: from labelled figures to model folders that `classify` takes, and their scores.

Imports go one way: recipe -> data -> fit -> evaluate -> the modules here, so that each part uses only those
before it.

- recipe: recipes as data.
- data: read labelled figures, find leaks between data sets, split into folds.
- fit: fit one network to the figures of one fold.
- evaluate: score models, write reports, compare runs.
- export, decisions: write a model's weights, and fit what its card states about probabilities.
- run, then smoke and command, then tune: do a whole training, prepare it, search for a recipe's numbers.
- calibrate: adapt a finished model to labelled figures of somebody's own slides.
- paths, provenance, markdown, readme: file names, versions, tables and a model's README, for all parts.

Uses calibration, engines, models, prediction, reading and slides.
"""
