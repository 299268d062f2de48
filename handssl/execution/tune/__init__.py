"""Trials as actors of Ray Tune, one worker each, and hyperparameter search."""
