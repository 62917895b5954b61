"""Predictions of a split, a folder or a table, and what they score."""
