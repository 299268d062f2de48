"""Tools without a word of the domain: files, locks, databases, processes, secrets, versions."""
