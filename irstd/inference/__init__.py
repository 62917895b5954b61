"""Trained networks put to use: predictions, weights as files, pictures, exports, cost."""
