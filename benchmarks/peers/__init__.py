"""Scripts that other programs run, each in an environment of its own."""
