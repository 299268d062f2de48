"""How a study is run: on Ray, with its data, checkpoints, claims, events and restarts."""
