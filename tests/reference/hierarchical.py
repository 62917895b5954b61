"""hIoU and its errors by sets of pixels and all ways to pair, in the words of arXiv 2509.16888; shares nothing with irstd."""

from tests.reference.conventions import far, least_total, parts


def scores(scenes, within=3.0):
    """Shares of many scenes (mask, predicted), an empty image counted as PyIRSTDMetrics counts it."""
    shares = {"iou": [], "merging": [], "interference": [], "perception": []}
    counts = dict.fromkeys(("pairs", "merging", "splitting", "interference", "perception"), 0)
    for mask, predicted in scenes:
        targets, found = parts(mask), parts(predicted)
        every = set().union(*targets)
        iou = {(t, p): len(a & b) / len(a | b) for t, a in enumerate(targets) for p, b in enumerate(found)}
        may = {(t, p) for t, p in iou if iou[t, p] >= 0.5 or far(targets[t], found[p]) < within}
        pairs = []
        if iou:
            pairs = [pair for pair in least_total(targets, found) if iou[pair] >= 0.5]
            left = [t for t in range(len(targets)) if t not in {a for a, _ in pairs}]
            free = [p for p in range(len(found)) if p not in {b for _, b in pairs}]
            if left and free:
                second = least_total([targets[t] for t in left], [found[p] for p in free])
                near = [(left[a], free[b]) for a, b in second]
                pairs += [(t, p) for t, p in near if far(targets[t], found[p]) < within]
        for t, p in pairs:
            target, region = targets[t], found[p]
            whole = len(target | region)
            shares["iou"].append(len(target & region) / whole)
            shares["merging"].append(len(region & (every - target)) / whole)
            shares["interference"].append(len(region - every) / whole)
            shares["perception"].append(len(target - region) / whole)
        counts["pairs"] += len(pairs)
        counts["interference"] += not found
        counts["perception"] += not targets
        for t in range(len(targets)):
            if t not in {a for a, _ in pairs}:
                counts["merging" if any(a == t for a, _ in may) else "perception"] += 1
        for p in range(len(found)):
            if p not in {b for _, b in pairs}:
                counts["splitting" if any(b == p for _, b in may) else "interference"] += 1
    total = sum(counts.values())
    result = {f"segmentation_{k}": sum(v) / len(v) if v else 0.0 for k, v in shares.items()}
    result |= {f"localisation_{'iou' if k == 'pairs' else k}": v / total for k, v in counts.items()}
    return result | {"hiou": result["segmentation_iou"] * result["localisation_iou"]}
