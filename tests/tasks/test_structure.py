import itertools
import math
import random
from collections import Counter

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.tasks.structure import Structures, isomorphic, keys


def structures(graphs, colours=None, slots=0):
    """Graphs of V nodes each as one batch, in relations as long as the longest, or `slots`."""
    vertices = graphs[0].number_of_nodes()
    most = max(slots, *(graph.number_of_edges() for graph in graphs))
    edges = np.full((len(graphs), most, 2), vertices)
    for row, graph in enumerate(graphs):
        edges[row, : graph.number_of_edges()] = np.array(graph.edges).reshape(-1, 2)
    given = np.zeros((len(graphs), vertices)) if colours is None else colours
    return Structures(np.array(given, np.uint64), [edges])


def key(graph, **options):
    return int(keys(structures([graph]), **options)[0])


def renamed(graph, source):
    order = source.sample(range(graph.number_of_nodes()), graph.number_of_nodes())
    return networkx.relabel_nodes(graph, dict(enumerate(order)))


def plain(graph):
    return networkx.convert_node_labels_to_integers(graph)


def every_graph(nodes):
    """Structures of all graphs with these named nodes."""
    pairs = np.array(list(itertools.combinations(range(nodes), 2)))
    there = (np.arange(2 ** len(pairs))[:, None] >> np.arange(len(pairs))) & 1
    edges = np.where(there[:, :, None] == 1, pairs, nodes)
    return Structures(np.zeros((len(edges), nodes), np.uint64), [edges])


def pair(batch, first, second):
    rows = [first, second]
    return Structures(batch.colours[rows], [relation[rows] for relation in batch.relations])


@pytest.mark.parametrize(("nodes", "classes"), [(3, 4), (4, 11), (5, 34)])  # OEIS A000088
@pytest.mark.parametrize("pointed", [False, True])
def test_key_and_comparison_together_find_the_classes_of_all_named_graphs(nodes, classes, pointed):
    batch = every_graph(nodes)
    found: dict[int, list[tuple[int, int]]] = {}  # key -> of each class that has it: a graph, and how many there are
    for row, word in enumerate(keys(batch, pointed=pointed).tolist()):
        alike = found.setdefault(word, [])
        for place, (first, count) in enumerate(alike):
            if isomorphic(pair(batch, first, row)):
                alike[place] = (first, count + 1)
                break
        else:
            alike.append((row, 1))
    sizes = sorted(count for alike in found.values() for _, count in alike)
    atlas = [graph for graph in networkx.graph_atlas_g() if graph.number_of_nodes() == nodes]
    assert len(sizes) == classes == len(atlas)
    assert sizes == sorted(math.factorial(nodes) // symmetries(graph) for graph in atlas)


def symmetries(graph):
    return sum(1 for _ in networkx.algorithms.isomorphism.GraphMatcher(graph, graph).isomorphisms_iter())


def test_of_the_graphs_with_six_nodes_each_class_is_found_and_few_need_the_comparison():
    graphs = [graph for graph in networkx.graph_atlas_g() if graph.number_of_nodes() == 6]
    source = random.Random(1)
    copies = [renamed(graph, source) for graph in graphs]
    assert len(set(keys(structures(graphs), pointed=True).tolist())) == len(graphs) == 156
    for pointed in (False, True):
        words = keys(structures(graphs), pointed=pointed).tolist()
        assert words == keys(structures(copies), pointed=pointed).tolist()
        assert all(isomorphic(structures([graph, copy])) for graph, copy in zip(graphs, copies, strict=True))
        met = [(i, j) for i, j in itertools.combinations(range(156), 2) if words[i] == words[j]]
        assert len(met) == (0 if pointed else 4)
        assert not any(isomorphic(structures([graphs[i], copies[j]])) for i, j in met)


def test_two_triangles_are_no_hexagon():
    hexagon, triangles = networkx.cycle_graph(6), plain(networkx.disjoint_union_all([networkx.complete_graph(3)] * 2))
    assert key(hexagon) == key(triangles), "colour refinement alone is blind here, or this test shows nothing"
    assert key(hexagon, pointed=True) != key(triangles, pointed=True)
    assert not isomorphic(structures([hexagon, triangles]))
    assert isomorphic(structures([triangles, renamed(triangles, random.Random(3))]))


def test_strongly_regular_graphs_with_the_same_numbers_are_told_apart_by_the_comparison_alone():
    """The rook's graph of a 4x4 board, and the Shrikhande graph."""
    rook = plain(networkx.line_graph(networkx.complete_bipartite_graph(4, 4)))
    steps = {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)}
    squares = list(itertools.product(range(4), repeat=2))
    joined = [(a, b) for a, b in itertools.combinations(squares, 2) if ((b[0] - a[0]) % 4, (b[1] - a[1]) % 4) in steps]
    shrikhande = plain(networkx.Graph(joined))
    assert key(rook, pointed=True) == key(shrikhande, pointed=True)
    assert not isomorphic(structures([rook, shrikhande]))
    assert isomorphic(structures([rook, renamed(rook, random.Random(5))]))
    assert isomorphic(structures([shrikhande, renamed(shrikhande, random.Random(5))]))


def test_cubic_graphs_of_ten_nodes():
    """Petersen's, the prisms, and random ones, against networkx."""
    graphs = [networkx.petersen_graph(), networkx.circular_ladder_graph(5), networkx.circulant_graph(10, [1, 5])]
    graphs += [networkx.random_regular_graph(3, 10, seed=seed) for seed in range(21)]
    graphs = [plain(graph) for graph in graphs]
    verdicts = Counter()
    for first, second in itertools.combinations(graphs, 2):
        verdict = networkx.is_isomorphic(first, second)
        assert isomorphic(structures([first, second])) == verdict
        assert (key(first, pointed=True) == key(second, pointed=True)) == verdict
        verdicts[verdict] += 1
    assert min(verdicts.values()) > 10, verdicts


def test_graphs_that_differ_in_one_edge():
    source, verdicts = random.Random(2), Counter()
    for seed in range(150):
        graph = networkx.gnm_random_graph(7, 9, seed=seed)
        near = renamed(graph, source)
        near.remove_edge(*source.choice(list(near.edges)))
        near.add_edge(*source.choice(list(networkx.non_edges(near))))
        verdict = networkx.is_isomorphic(graph, near)
        assert isomorphic(structures([graph, near])) == verdict, seed
        verdicts[verdict] += 1
    assert min(verdicts.values()) > 5, verdicts


SETS = st.lists(st.sets(st.integers(0, 6), min_size=3, max_size=3).map(sorted), min_size=1, max_size=6)
PAIRS = st.lists(st.sets(st.integers(0, 6), min_size=2, max_size=2).map(sorted), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    sets=SETS,
    pairs=PAIRS,
    colours=st.lists(st.integers(0, 2), min_size=7, max_size=7),
    order=st.permutations(range(7)),
    source=st.randoms(use_true_random=False),
)
def test_renaming_and_reordering_change_nothing(sets, pairs, colours, order, source):
    def copied(relation):
        new = [source.sample([order[vertex] for vertex in members], len(members)) for members in relation]
        return source.sample(new, len(new))

    new_colours = [colours[order.index(vertex)] for vertex in range(7)]
    both = Structures(
        np.array([colours, new_colours], np.uint64),
        [np.array([relation, copied(relation)]) for relation in (sets, pairs)],
    )
    for pointed in (False, True):
        first, second = keys(both, pointed=pointed).tolist()
        assert first == second
    assert isomorphic(both)


def test_a_key_does_not_depend_on_the_batch():
    batch = every_graph(5)
    many = Structures(np.tile(batch.colours, (5, 1)), [np.tile(relation, (5, 1, 1)) for relation in batch.relations])
    for pointed in (False, True):
        words = keys(batch, pointed=pointed)
        assert (keys(many, pointed=pointed) == np.tile(words, 5)).all()
        assert [int(keys(pair(batch, row, row), pointed=pointed)[0]) for row in range(40)] == words[:40].tolist()


def test_sets_that_are_not_there_change_nothing():
    graph, source = networkx.gnm_random_graph(8, 10, seed=4), random.Random(4)
    wide = structures([graph, renamed(graph, source)], slots=15)
    for pointed in (False, True):
        assert keys(wide, pointed=pointed).tolist() == [key(graph, pointed=pointed)] * 2
    assert isomorphic(wide)
    fewer = graph.copy()
    fewer.remove_edge(*next(iter(graph.edges)))
    assert not isomorphic(structures([graph, fewer], slots=15))
    assert key(graph) != key(fewer)


def test_colours_and_kinds_of_relations_are_kept():
    path = networkx.path_graph(3)
    end, middle, other_end = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    assert isomorphic(structures([path] * 2, [end, other_end]))
    assert not isomorphic(structures([path] * 2, [end, middle]))
    assert not isomorphic(structures([path] * 2, [[0, 0, 0], [1, 1, 1]]))
    words = keys(structures([path] * 4, [end, other_end, middle, [0, 0, 0]])).tolist()
    assert words[0] == words[1]
    assert len(set(words)) == 3
    chain, edge = [[0, 1], [1, 2]], [[0, 1], [3, 3]]
    swapped = Structures(np.zeros((2, 3), np.uint64), [np.array([chain, edge]), np.array([edge, chain])])
    assert not isomorphic(swapped)
    assert len(set(keys(swapped).tolist())) == 2


def test_a_set_that_is_there_twice_is_not_there_once():
    twice = Structures(np.zeros((2, 3), np.uint64), [np.array([[[0, 1], [1, 0], [1, 2]], [[0, 1], [1, 2], [2, 1]]])])
    assert isomorphic(twice)
    once = Structures(np.zeros((2, 3), np.uint64), [np.array([[[0, 1], [1, 0], [1, 2]], [[0, 1], [1, 2], [3, 3]]])])
    assert not isomorphic(once)
