"""Data of trials: resolved by name, staged for all nodes, cached on their disks."""
