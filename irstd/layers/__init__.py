"""Blocks that methods share, one family a file."""
