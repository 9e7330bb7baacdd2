"""Rates, memory and ratios to baselines: ``python -m benchmarks --fraction 0.02``."""
