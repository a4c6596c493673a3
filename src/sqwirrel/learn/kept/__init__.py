"""What learning keeps in folders: simulations in shards, and what they and networks are for."""
