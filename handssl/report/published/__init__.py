"""Published numbers, and which of them a study's own may stand beside."""
