"""Studies as Python functions, one module per section of the paper."""
