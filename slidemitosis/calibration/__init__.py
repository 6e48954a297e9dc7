"""Fit what makes probabilities and calls of a model's logits, on labelled figures that it was not trained on.

- `probability`: P(atypical) with its thresholds, as a card's `calibrations` state them.
- `local`: the same on somebody's own slides, beginning from what a card says.
- `spread`: how far the probabilities of a slide, or of a domain, are off together.
- `looks`: how training figures look, so that others can be told from them.
- `thresholds`: operating points, counts of calls, and the temperature of cards without calibrations.

Uses models (their cards).
"""
