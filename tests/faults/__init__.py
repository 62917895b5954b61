"""What can go wrong, tried on purpose: kills of the pipeline, damaged files, hostile inputs; `make faults`."""
