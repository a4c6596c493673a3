"""From simulations to an estimator."""
