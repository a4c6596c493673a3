"""Pages that need nothing from outside: of a posterior, and of a verdict on rivals."""
