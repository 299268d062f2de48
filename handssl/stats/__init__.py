"""Statistics: designs, contrasts, estimators and power; numpy, scipy and statsmodels alone."""
