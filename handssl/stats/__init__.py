"""Statistics: designs, contrasts, effect estimators and power; numpy and scipy alone."""
