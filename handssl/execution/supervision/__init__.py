"""The process that drives Ray, started again by its parent if Ray has ended."""
