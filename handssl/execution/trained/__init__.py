"""Trained trials in use: their models, cards and last predictions."""
