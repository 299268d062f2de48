"""Trained models in use: an encoder with its read-out, on photos, and exported."""
