"""How many slips of the finger lie between two words."""

from __future__ import annotations


def edit_distance(first: str, second: str) -> int:
    """Return the number of letters added, left out, changed, or swapped with their neighbour.

    Spec: optimal string alignment, the Damerau-Levenshtein distance in which no part is edited twice.
    """
    before: list[int] = []
    previous = list(range(len(second) + 1))
    for row, letter in enumerate(first, start=1):
        current = [row]
        for column, other in enumerate(second, start=1):
            cost = min(
                previous[column] + 1,
                current[column - 1] + 1,
                previous[column - 1] + (letter != other),
            )
            if row > 1 and column > 1 and letter == second[column - 2] and first[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]
