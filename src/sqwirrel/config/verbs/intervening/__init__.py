"""The verb that intervenes: the causal map, and what else it asks."""
