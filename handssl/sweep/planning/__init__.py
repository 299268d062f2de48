"""Plans of studies: trials, cost, detectable effects, and preregistration."""
