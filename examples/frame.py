"""Frames a picture of a digit as MNIST has it, with numpy alone."""

import numpy as np


def frame(grey):
    """From a grey picture of one digit, of any size, dark on light or light on dark, to an image for the net.

    grey: [height, width], 0 (black) to 255 (white)
    returns uint8 [28, 28], 0 (background) to 255 (foreground)
    """
    grey = np.asarray(grey, np.float32) / 255
    if max(grey.shape) > 400:  # finer detail is noise here
        grey = resize(grey, [max(1, side * 400 // max(grey.shape)) for side in grey.shape])

    # The foreground is what is darker than the border, or what is lighter, whichever differs more.
    border = np.concatenate([grey[0], grey[1:-1, 0], grey[1:-1, -1], grey[-1]])
    background = median(border)
    noise = 3 * median(abs(border - background))
    sides = [np.maximum(sign * (grey - background) - noise, 0) for sign in (-1, 1)]
    digit = max(sides, key=lambda side: (side**2).sum())
    if digit.max() < 0.06:
        raise ValueError("the picture shows nothing: it is a single shade all over")
    digit = digit / digit.max()

    # Fitted into 20x20 pixels.
    rows, columns = np.nonzero(digit >= 0.3)
    digit = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    longer = max(digit.shape)
    digit = resize(digit, [max(1, (side * 20 + longer // 2) // longer) for side in digit.shape])
    digit = digit / digit.max()

    # The centre of mass in the middle of 28x28 pixels, as far as the edges allow.
    image = np.zeros([28, 28], np.uint8)
    window = []
    for axis, side in enumerate(digit.shape):
        mass = digit.sum(axis=1 - axis)
        start = int(14.5 - (mass * np.arange(side)).sum() / mass.sum())
        start = min(max(start, 0), 28 - side)
        window.append(slice(start, start + side))
    image[tuple(window)] = (digit * 255 + 0.5).astype(np.uint8)
    return image


def median(values):
    return np.sort(values)[len(values) // 2]


def resize(picture, sides):
    """By a triangle filter: linear interpolation, widened to the size of a new pixel when reducing."""
    for side in sides:  # first the rows, then the columns
        ratio = len(picture) / side
        centres = (np.arange(side) + 0.5) * ratio
        distances = abs(np.arange(len(picture)) + 0.5 - centres[:, None])
        weights = np.maximum(1 - distances / max(ratio, 1), 0)
        picture = (weights / weights.sum(1, keepdims=True) @ picture).T
    return picture
