"""The three LVLM passes: features of a product, intentions of a pair, and the filter in the customer's role."""

VERSION = 5
"""Raised when the same answers would give other tables than before."""
