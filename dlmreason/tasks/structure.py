"""When two small structures are the same up to renaming: a fast key that is blind to names, and an exact comparison.

This file decides what a copy is for problems that are made of interchangeable names: graphs, formulas. A structure is
vertices with colours, and relations: sets of K vertices each. It knows no text and no task.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import mix

ROUNDS = 3
"""Of `keys`; in a random structure each vertex has by then heard of every other."""

BLOCK = 4096
"""Structures that are hashed at a time: a hundred megabytes."""

GOLDEN = 0x9E3779B97F4A7C15


class Structures(NamedTuple):
    """N structures of V vertices each, side by side."""

    colours: NDArray[np.uint64]  # [N, V] that copies must keep
    relations: Sequence[NDArray[np.int64]]  # each [N, E, K]: sets of K vertices, in any order; V ... V: no set here


def keys(structures: Structures, rounds: int = ROUNDS, *, pointed: bool = False) -> NDArray[np.uint64]:
    """[N] words that copies share, by colour refinement with hashes.

    Structures that are no copies may share one too, mostly those in which all vertices look alike, such as regular
    graphs. pointed: refine once for each vertex that is singled out, which tells most of these apart as well, for V
    times the work.
    """
    rows, vertices = structures.colours.shape
    if rows > BLOCK:
        parts = [slice(first, first + BLOCK) for first in range(0, rows, BLOCK)]
        return np.concatenate([keys(_rows(structures, part), rounds, pointed=pointed) for part in parts])
    if not pointed:
        return mix(mix(refine(structures, rounds)).sum(axis=1, dtype=np.uint64))
    total = np.zeros(rows, np.uint64)
    for vertex in range(vertices):
        colours = mix(structures.colours)
        colours[:, vertex] += np.uint64(GOLDEN)
        total += mix(keys(Structures(colours, structures.relations), rounds))
    return mix(total)


def _rows(structures: Structures, part: slice) -> Structures:
    return Structures(structures.colours[part], [relation[part] for relation in structures.relations])


def refine(structures: Structures, rounds: int) -> NDArray[np.uint64]:
    """[N, V] colours that tell of a vertex what is within `rounds` steps of it, whatever the names.

    They are hashes: equal for what looks the same, and different for what looks different but for 1 in 2**64.
    """
    rows, vertices = structures.colours.shape
    none = vertices  # one more vertex, of which no other hears: the sets that are not there consist of it
    colours = np.zeros((rows, vertices + 1), np.uint64)
    colours[:, :none] = mix(structures.colours + np.uint64(GOLDEN))
    first = (np.arange(rows) * (vertices + 1))[:, None, None]
    relations = [relation + first for relation in structures.relations]
    for _ in range(rounds):
        heard = np.zeros(colours.size, np.uint64)
        for kind, members in enumerate(relations, start=1):
            of_set = mix(colours.ravel()[members].sum(axis=2, dtype=np.uint64) + np.uint64(kind))
            np.add.at(heard, members.ravel(), np.repeat(of_set.ravel(), members.shape[2]))
        colours = mix(mix(colours) + heard.reshape(colours.shape))
    return colours[:, :none]


def isomorphic(pair: Structures) -> bool:
    """Whether the two structures of a pair (N = 2) are copies: exact, by renaming one into the other.

    Vertices are singled out until all differ. The time grows with the number of vertices that look alike: milliseconds
    for some 20 vertices.
    """
    return _renamed(pair, pair.colours)


def _renamed(pair: Structures, colours: NDArray[np.uint64]) -> bool:
    """Whether some renaming makes structure 0 into structure 1 and keeps `colours`, which are finer than the pair's."""
    count = 0
    while (now := len(np.unique(colours[0]))) > count:
        count, colours = now, refine(Structures(colours, pair.relations), 1)
    order = np.argsort(colours, axis=1, kind="stable")
    values = np.take_along_axis(colours, order, axis=1)
    if (values[0] != values[1]).any():
        return False
    if count == len(values[0]):
        return _is_renaming(pair, order)
    alike, sizes = np.unique(values[0], return_counts=True)
    value = alike[np.argmin(np.where(sizes > 1, sizes, len(values[0]) + 1))]
    single = np.flatnonzero(colours[0] == value)[0]
    for other in np.flatnonzero(colours[1] == value):
        singled = colours.copy()
        singled[0, single] = singled[1, other] = value + np.uint64(1)
        if _renamed(pair, singled):
            return True
    return False


def _is_renaming(pair: Structures, order: NDArray[np.int64]) -> bool:
    """Whether order[0][i] -> order[1][i] makes structure 0 into structure 1."""
    vertices = order.shape[1]
    new_name = np.empty(vertices + 1, np.int64)
    new_name[order[0]], new_name[vertices] = order[1], vertices
    return bool((pair.colours[0, order[0]] == pair.colours[1, order[1]]).all()) and all(
        sorted(np.sort(new_name[relation[0]]).tolist()) == sorted(np.sort(relation[1]).tolist())
        for relation in pair.relations
    )
