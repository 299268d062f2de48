"""Copies of checkpoints on another file system, and the disk space of all."""
