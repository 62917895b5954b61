"""What people run: the command line, the explorer, new methods, differences between revisions."""
