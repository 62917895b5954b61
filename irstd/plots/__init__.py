"""Figures: a tidy table in, axes out. Nothing here reads a file or imports torch."""
