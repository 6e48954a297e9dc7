"""The atypical rate of slides: fraction, uncertainty, correction, density and hot spot.

- `counts`: a slide's figures by class and status, and the fraction and the ratio of them.
- `intervals`, `correction`: formulas for the fraction's uncertainty and for the classifier's errors.
- `area`, `tissue`: the area in which figures were looked for; `hotspot`: the spot with most figures.
- `regions`: the rate of each annotation or core that a user names.
- `slide`: all of these for one slide; `pooling`: several slides or patients together.

Uses reading, prediction, candidates, models (their cards) and slides.
"""
