"""Diagnostics of features beside the errors: what was asked of them, and what it goes with."""
