"""Causal models that predict: estimators that look at causal regions."""
