"""Augment figures: the random steps of a recipe, which leave the label as it is, by batch on any device.

- augmentation: `Augmentation`, and `STEPS` by name. A step's constructor has the values of `AugmentStep` as
  keyword arguments, and says their units.
- places, colours, filters: the steps; step: what they have in common.
"""
