"""What is said of a crystal with springs: its branches with their uncertainty, and its springs bond by bond."""
