"""What is compared: studies, their stages, cells and trials, and the identity of a trial."""
