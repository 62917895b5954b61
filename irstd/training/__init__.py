"""One loop for every method, and the score that chooses an epoch."""
