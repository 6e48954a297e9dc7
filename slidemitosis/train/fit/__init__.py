"""Fit one network to the figures of one fold.

- loop: the training, epoch by epoch; it calls all of the others.
- pretrained, lora: the weights to start from, and which of them learn.
- sampler, augment, batches: which figures an epoch shows, and how.
- targets, losses, schedule: what the network is to say, how far off it is, and how fast it learns.
- validation, history, checkpoint: scores, log and state after each epoch.

Uses recipe and data.
"""
