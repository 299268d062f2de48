"""The Ray cluster of a sweep: a local one or a given one, its nodes, versions and health."""
