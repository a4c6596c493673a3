"""Pictures with a module of their own, and the style of all."""
