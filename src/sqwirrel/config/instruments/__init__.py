"""The kinds that parts of an instrument can be of, as a config file tells them."""
