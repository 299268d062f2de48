"""Execution of a study: on Ray, with its data, checkpoints, claims, events and restarts."""
