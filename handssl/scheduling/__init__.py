"""Pure decisions about trials: successive halving, the scheduler of a stage, simulation."""
