"""Scores from counts that add: regions, matching, counts, curves. A number is printed with its convention."""
