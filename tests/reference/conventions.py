"""Every convention by scikit-image, SciPy's flood fill and plain loops, in the words of the code it follows.

Shares nothing with the package. A truth is grey levels of 255; a prediction is scores as multiples of 1/65534.
"""

import math
from itertools import permutations

import numpy as np
from skimage.measure import label, regionprops

EMPTY = np.zeros((0, 2))


def parts(mask, least=0, connectivity=8):
    """Regions in raster order, each as a set of (row, col)."""
    found = regionprops(label(mask, connectivity=2 if connectivity == 8 else 1))
    return [{(int(r), int(c)) for r, c in p.coords} for p in found if p.area >= least]


def centre(part):
    return sum(r for r, _ in part) / len(part), sum(c for _, c in part) / len(part)


def far(one, other):
    return math.dist(centre(one), centre(other))


def greedy(rows, columns, may):
    pairs, used = [], set()
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if j not in used and may(row, column):
                used.add(j)
                pairs.append((i, j))
                break
    return pairs


def largest(rows, columns, may):
    """A matching of largest size, by Kuhn's augmenting paths."""
    partner = {}

    def augment(i, seen):
        for j, column in enumerate(columns):
            if j not in seen and may(rows[i], column):
                seen.add(j)
                if j not in partner or augment(partner[j], seen):
                    partner[j] = i
                    return True
        return False

    for i in range(len(rows)):
        augment(i, set())
    return [(i, j) for j, i in partner.items()]


def least_total(rows, columns):
    """Pairs of least total distance, all ways tried; scenes must be small."""
    if len(rows) > len(columns):
        return [(i, j) for j, i in least_total(columns, rows)]
    costs = [[far(r, c) for c in columns] for r in rows]
    best = min(permutations(range(len(columns)), len(rows)), key=lambda p: sum(costs[i][j] for i, j in enumerate(p)))
    return list(enumerate(best))


def window(part, reach, shape, *, broken=False):
    """Pixels within `reach` rows and columns of a region's; with Python's slices as they fall where `broken`."""
    seen = set()
    for r, c in part:
        if broken and (r < reach or c < reach):
            continue  # a slice from a negative number to a smaller one is empty
        for row in range(max(r - reach, 0), min(r + reach + 1, shape[0])):
            for col in range(max(c - reach, 0), min(c + reach + 1, shape[1])):
                seen.add((row, col))
    return seen


def decide(score, rule):
    if rule == "half":
        return score > 0.5
    if rule == "half or more":
        return score >= 0.5
    if not score.max() > (0 if rule == "of maximum" else score.min()):
        return np.zeros(score.shape, bool)
    if rule == "of maximum":
        return score / score.max() > 0.5
    spread = (score - score.min()) / (score.max() - score.min())
    if rule == "range":
        return spread > 0.22
    return 1 / (1 + np.exp(-spread)) > 0.55


RULES = {
    "irstd": ("half", "half"), "basicirstd": ("half", "white"), "dnanet": ("half", "white"),
    "mshnet": ("half", "white"), "sctransnet": ("half", "white"), "msda": ("half", "half"), "pal": ("half", "half"),
    "pyirstdmetrics": ("half", "half"), "pyirstdmetrics-opdc": ("half", "half"), "shooting-rule": ("half", "half"),
    "deeppro": ("half or more", "half"), "binarysos": ("half or more", "any"),
    "binarysos-mask": ("half or more", "any"), "istd-python": ("of maximum", "white"),
    "istd-python-overlap": ("of maximum", "white"), "rc-irstd-overlap": ("half or more", "any"),
    "rc-irstd-centroid": ("half or more", "any"), "rdian": ("half", "white"), "irst-library": ("half", "white"),
    "acm-niou": ("half", "white"), "uiunet": ("range", "white"),
}  # fmt: skip


def counts(name, grey, score):
    """What one image contributes under the convention `name`."""
    rule, truth = RULES[name]
    mask = {"half": grey > 127.5, "white": grey == 255, "any": grey > 0}[truth]
    in_union = grey > 127.5 if truth == "white" else mask
    predicted = decide(score, rule)
    least = 10 if name == "irst-library" else 0
    targets, found = parts(mask, least), parts(predicted, least)
    pixels = {(int(r), int(c)) for r, c in np.argwhere(predicted)}
    true = {(int(r), int(c)) for r, c in np.argwhere(mask)}
    # BinarySOSMetrics' scores of pixels exceed the threshold, though its targets may reach it.
    above = {(int(r), int(c)) for r, c in np.argwhere(score > 0.5)} if name.startswith("binarysos") else pixels
    result = {
        "intersection": len(above & true), "predicted": len(above), "true": int(in_union.sum()),
        "targets": len(targets), "regions": len(found), "pixels": mask.size,
    }  # fmt: skip

    def near(one, other):
        return far(one, other) < 3

    def near_or_at(one, other):
        return far(one, other) <= 3

    if name in ("acm-niou", "uiunet"):
        return result | {"targets": 0, "regions": 0, "detected": 0, "false_pixels": 0}
    if name in ("shooting-rule", "deeppro"):
        broken = name == "deeppro"
        boxes = set().union(*(window(t, 4, mask.shape, broken=broken) for t in targets)) if targets else set()
        hit = [bool(window(t, 1, mask.shape, broken=broken) & pixels) for t in targets]
        return result | {"detected": sum(hit), "false_pixels": len(pixels - boxes)}
    if name == "rdian":
        hit = 0
        for target in targets:
            row, col = (round(x) for x in centre(target))
            seen = predicted[row - 2 : row, col - 2 : col] if row >= 2 and col >= 2 else predicted[:0]
            hit += bool(seen.any())
        off = {"pixels": mask.size - len(true)}
        return result | off | {"detected": hit, "false_pixels": len(pixels - true)}
    if name == "istd-python-overlap":
        off = {"pixels": mask.size - len(true)}
        return result | off | {"detected": sum(bool(t & pixels) for t in targets), "false_pixels": len(pixels - true)}
    if name == "irst-library":
        return result | {"detected": len(greedy(found, targets, near_or_at)), "false_pixels": 0}
    if name == "rc-irstd-overlap":
        pairs = largest(targets, found, lambda t, p: bool(t & p))
        return result | {"detected": len(pairs), "false_pixels": len(pixels - true)}
    if name == "rc-irstd-centroid":
        return result | {"detected": len(largest(targets, found, near_or_at)), "false_pixels": len(pixels - true)}
    if name == "pyirstdmetrics-opdc":

        def iou(t, p):
            return len(targets[t] & found[p]) / len(targets[t] | found[p])

        pairs = []
        if targets and found:
            every = [(t, p) for t in range(len(targets)) for p in range(len(found))]
            if any(iou(t, p) >= 0.5 for t, p in every):
                pairs = [(t, p) for t, p in least_total(targets, found) if iou(t, p) >= 0.5]
            left = [t for t in range(len(targets)) if t not in {a for a, _ in pairs}]
            free = [p for p in range(len(found)) if p not in {b for _, b in pairs}]
            if left and free and any(near(targets[t], found[p]) for t, p in every):
                second = least_total([targets[t] for t in left], [found[p] for p in free])
                pairs += [(left[a], free[b]) for a, b in second if near(targets[left[a]], found[free[b]])]
        result["targets"], result["regions"] = max(len(targets), 1), max(len(found), 1)
    elif name == "binarysos-mask":
        pairs = greedy(targets, found, lambda t, p: near(t, p) and bool(t & p))
    else:
        pairs = greedy(targets, found, near)
    taken = {p for _, p in pairs}
    if name in ("dnanet", "mshnet", "sctransnet", "istd-python"):
        areas = {len(found[p]) for p in taken}
        false = sum(len(p) for p in found if len(p) not in areas)
    else:
        false = sum(len(p) for number, p in enumerate(found) if number not in taken)
    return result | {"detected": len(pairs), "false_pixels": false}
