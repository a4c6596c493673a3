"""Benchmarks: each a module, `python -m benchmarks.NAME --json FILE [--quick]`; results in `benchmarks/results`."""
