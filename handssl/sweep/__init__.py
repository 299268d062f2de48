"""Sweeps: studies, their stages and trials, successive halving, and their execution on Ray."""
