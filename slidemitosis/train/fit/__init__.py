"""Fit one network to the figures of one fold: augmentation, losses, schedule, and the loop.

Uses recipe and data.
"""
