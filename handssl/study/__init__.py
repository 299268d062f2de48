"""Studies: their stages, cells and trials, and the identity of a trial."""
