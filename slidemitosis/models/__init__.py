"""Models as data: their cards, their files, and their networks.

- `card`: what model.toml says; `shipped`: the models that come with this package.
- `files`: weights and graph, compared with the card's hashes.
- `decision`: probabilities from logits; `subtypes`: probabilities of hardness and of subtypes.
- `looks`: how figures look against those of training; `local`: a calibration on somebody's own slides.
- `networks`, `colour`, `classifier`: the networks in torch. Only these three modules import torch.

Uses the ground only.
"""
