"""Classify the candidates of slides: the one place where reading, computing and rating meet.

- `classifier`: SlideClassifier, `classify_slide`, `classify_candidates`; `stream`: batches to predictions.
- `timing`: where the time of one slide goes; `bench`: the same for a user's own slide and machine.
- `rerun`: a slide classified again as its summary says, and compared.
- `patches`: stacks of patches that are cut already.

Uses outputs, rates, reading, engines, prediction, models, candidates and slides.
"""
