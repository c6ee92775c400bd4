"""Where a function takes a value: what a formula leaves of its unknown term."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthvae.encoding.arrays import Counts, Floats, Mask

POINTS = 65  # between two of which, side by side, a function is taken as monotone
HALVINGS = 60  # of the distance of two such points, beyond which doubles do not differ
UNDEFINED = 2  # the side of a value that is NaN

Function = Callable[[Floats], Floats]


def solve(function: Function, wanted: tuple[Floats, Floats], domain: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return the ends (2 x rows,) of the first interval of numbers at which the function has a wanted value.

    The first end is infinite, and greater than the second, where there is none.

    Args:
        function: Maps numbers (rows,) to values (rows,), each row by a function of its own; NaN: undefined.
        wanted: The smallest and the largest wanted value (rows,).
        domain: The smallest and the largest number.

    Example:
        >>> import numpy as np
        >>> low, high = solve(lambda x: x**2, (np.array([3.99]), np.array([4.01])), (0.0, 100.0))
        >>> low.round(4), high.round(4)
        (array([1.9975]), array([2.0025]))
    """

    def side(numbers: Floats) -> Floats:
        values = function(numbers)
        sides = np.where(values < wanted[0], -1.0, np.where(values > wanted[1], 1.0, 0.0))
        return np.where(np.isnan(values), UNDEFINED, sides)

    rows = len(wanted[0])
    points = np.linspace(*domain, POINTS)
    sides = np.stack([side(np.full(rows, point)) for point in points])
    inside = sides == 0
    reached = inside.copy()
    reached[1:] |= sides[1:] * sides[:-1] == -1
    first = reached.argmax(0)
    each = np.arange(rows)
    last = np.where(inside[first, each], _run(inside, first), first - 1)  # the last point before the values are left
    before, after = np.maximum(first - 1, 0), np.minimum(last + 1, POINTS - 1)
    low = _change(side, points[before], points[first], sides[before, each], keep_first=False)
    high = _change(side, points[np.maximum(last, 0)], points[after], sides[after, each], keep_first=True)
    low = np.where(first == 0, points[0], low)
    high = np.where(inside[-1] & (last == POINTS - 1), points[-1], high)
    none = ~reached.any(0) | (low > high)
    return np.where(none, np.inf, low), np.where(none, -np.inf, high)


def _run(inside: Mask, first: Counts) -> Counts:
    """The last point (rows,) of the run of points with wanted values that begins at `first` (rows,)."""
    after = ~inside & (np.arange(len(inside))[:, None] > first)
    return np.where(after.any(0), after.argmax(0), len(inside)) - 1


def _change(side: Function, left: Floats, right: Floats, of: Floats, *, keep_first: bool) -> Floats:
    """Where (rows,) between two numbers (rows,) the side `of` (rows,) begins or ends, by bisection.

    Args:
        side: The side of the wanted values on which numbers (rows,) are.
        left: The smaller number.
        right: The larger number.
        of: The side of one of them.
        keep_first: Whether it is the side of the larger number, so that the last number of another side is returned;
            otherwise the first number of another side is.
    """
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        is_left = (side(middle) == of) != keep_first
        left, right = np.where(is_left, middle, left), np.where(is_left, right, middle)
    return left if keep_first else right
