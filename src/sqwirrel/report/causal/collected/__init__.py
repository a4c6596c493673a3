"""What a table that somebody else made says of causes: as plain data, and as a graph."""
