"""Fuzzing of whatever reads a file that somebody else wrote; `make fuzz`."""
