"""Losses, one family a file; each maps predictions and truth to one value per image, shape (B,)."""
