"""Statistics: designs, contrasts, effect estimators and power; numpy, scipy and statsmodels alone."""
