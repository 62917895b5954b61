"""Decoding of a heatmap cell by cell, in plain loops."""

import math


def newton(heat, row, col):
    """Step to the maximum of the logarithm's quadratic at a cell; none where there is no room or no peak."""
    height, width = heat.shape
    if not (2 <= row < height - 2 and 2 <= col < width - 2):
        return 0.0, 0.0

    def log(down, along):
        return math.log(max(float(heat[row + down, col + along]), 1e-10))

    slope_row, slope_col = (log(1, 0) - log(-1, 0)) / 2, (log(0, 1) - log(0, -1)) / 2
    rows = (log(2, 0) - 2 * log(0, 0) + log(-2, 0)) / 4
    cols = (log(0, 2) - 2 * log(0, 0) + log(0, -2)) / 4
    both = (log(1, 1) - log(1, -1) - log(-1, 1) + log(-1, -1)) / 4
    determinant = rows * cols - both * both
    if determinant <= 0 or rows >= 0:
        return 0.0, 0.0
    steps = (both * slope_col - cols * slope_row) / determinant, (both * slope_row - rows * slope_col) / determinant
    return tuple(min(max(step, -1.0), 1.0) for step in steps)


def peaks(heat, offset, least, relative, window, merge, spread=None, *, dark=False):
    """Points (row, col, score) of one heatmap, best first: local maxima, thresholds, sub-pixel step, merging."""
    height, width = heat.shape
    found = []
    for row in range(height):
        for col in range(width):
            side = window if spread is None else max(window, min(2 * math.ceil(float(spread[row, col])) + 1, 9))
            reach = side // 2
            around = [
                heat[r, c]
                for r in range(max(0, row - reach), min(height, row + reach + 1))
                for c in range(max(0, col - reach), min(width, col + reach + 1))
            ]
            if heat[row, col] == max(around) and heat[row, col] > least:
                step = newton(heat, row, col) if dark else offset[:, row, col]
                found.append((row + float(step[0]), col + float(step[1]), float(heat[row, col])))
    found.sort(key=lambda point: -point[2])
    if found:
        found = [point for point in found if point[2] >= (1 - relative) * found[0][2]]
    kept = []
    for point in found:
        if all(math.dist(point[:2], other[:2]) >= merge for other in kept):
            kept.append(point)
    return kept
