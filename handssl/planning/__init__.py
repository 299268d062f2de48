"""Plans of studies: trials, resources, cost, detectable effects, and preregistration."""
