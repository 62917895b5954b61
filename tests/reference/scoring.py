"""Counts of one image by scikit-image and plain loops."""

import math

from skimage.measure import label, regionprops


def counts(mask, predicted, within_px=3.0, connectivity=8):
    """The counts of our default convention, in the words of its definition."""
    order = 2 if connectivity == 8 else 1
    truth = regionprops(label(mask, connectivity=order))
    found = regionprops(label(predicted, connectivity=order))
    taken, distances = [], []
    for target in truth:
        for number, region in enumerate(found):
            if number in taken:
                continue
            far = math.dist(target.centroid, region.centroid)
            if far < within_px:
                taken.append(number)
                distances.append(far)
                break
    intersection = predicted_px = true_px = 0
    for row in range(mask.shape[0]):
        for col in range(mask.shape[1]):
            intersection += int(mask[row, col] and predicted[row, col])
            predicted_px += int(predicted[row, col])
            true_px += int(mask[row, col])
    return {
        "images": 1,
        "pixels": mask.size,
        "intersection": intersection,
        "predicted": predicted_px,
        "true": true_px,
        "targets": len(truth),
        "detected": len(taken),
        "regions": len(found),
        "false_regions": len(found) - len(taken),
        "false_pixels": int(sum(r.area for n, r in enumerate(found) if n not in taken)),
    }


def hits(truth, found, within_px):
    """Most pairs of one target and one point at most so far apart, and their least total distance: all ways tried."""
    near = [
        [math.dist(target, point) if math.dist(target, point) <= within_px else None for point in found]
        for target in truth
    ]

    def best(target, free):
        if target == len(truth):
            return 0, 0.0
        options = [best(target + 1, free)]
        for point in free:
            if near[target][point] is not None:
                count, far = best(target + 1, free - {point})
                options.append((count + 1, far + near[target][point]))
        return max(options, key=lambda o: (o[0], -o[1]))

    return best(0, frozenset(range(len(found))))
