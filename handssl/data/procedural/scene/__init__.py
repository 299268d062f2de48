"""Everything in a procedural image beside the hand's geometry: skin, light, objects, background."""
