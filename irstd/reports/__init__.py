"""Notebooks to pages."""
