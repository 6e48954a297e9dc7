"""Training: figures, augmentation, one loop, evaluation, and the model folder that comes out."""
