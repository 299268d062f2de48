"""Views of progress and results in a terminal."""
