"""Datasets: where they come from, what is on disk, and batches of them on the device."""
