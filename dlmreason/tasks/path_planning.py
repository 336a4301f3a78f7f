"""Path planning: the shortest way through a random map of one-way roads.

This file decides how maps are drawn, asked, laid out, thought about and judged. It knows no split and no model.

A prompt reads "3>5 5>7 3>2 7>2 3 7": the edges of a directed graph in random order, the start, the goal. An edge takes
one position: the symbol `e`, its two nodes being features; start and goal are marked by a feature. The answer is a
shortest path, "3 5 7", of `length` nodes; so every path of that length is a shortest one, and any of them is right (in
2 % of the maps of 12 nodes and 24 edges there are several). The thought is the search backward from the goal: "7 | 5 |
3 | 3 5 7" are the goal, all nodes from which it is one step away, two, ..., up to the start's, then the path, which
goes from each of these lists to the one before it; nodes are in the order of their names, and the lowest is taken.

So that no shortcut leads there, every node has as many edges out and as many in as any other, give or take one, and of
all pairs of nodes that are so far apart the map asks for one that is the hardest to find by following random edges
until the goal is next. In maps of 12 nodes and 24 edges .07 of random walks of that length reach the goal; of walks
that take no node twice and see the goal when it is next, .18, whether they go forward or backward, by random edges or
to the nodes of most or of fewest edges. (Maps of 20 edges drawn without care: .08, .45, and .64 to the nodes of most
edges; with care .11, .26, .43, for some nodes must then have more edges than others.)

difficulty: how many nodes are nearer to the start than the goal is, the start apart: what a search forward may look at.
Leakage: the order of the edges, other names of the nodes, and all edges turned round, with start and goal exchanged: a
random map has more or less one path to learn, unlike star graphs, which are all alike but for the names.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict, random_orders, random_words
from dlmreason.tasks.steps import ended
from dlmreason.tasks.structure import Structures, isomorphic, keys
from dlmreason.tasks.subject import (
    Form,
    Problem,
    Symmetries,
    Wanted,
    check_answer,
    check_thought,
    content_key,
    every,
    in_rounds,
)

EDGE, LAYER = "e", "|"
START, GOAL = 1, 2
"""Ids of the feature column that marks them."""

MOST_NODES, MOST_EDGES = 50, 200
LONGEST_PROMPT = 10_000
"""Characters of a person's prompt."""

ROUNDS = 8
"""Draws after which fewer problems than asked for are handed out."""

TRIAL, RAREST = 512, 8
"""Of so many random maps at least so many must be of use."""

CERTAIN = 1 << 24
"""Chances are whole numbers, certainty being this, so that every machine draws the same maps."""

NEVER = 1 << 62
"""More than any chance."""

HEARD = 8
"""Rounds of the keys: an edge is two of them long."""

_ARROWS = re.compile(r"\s*(?:[-=]*>|→)\s*")
_SEPARATORS = re.compile(r"[\s,;]+")


class Map(NamedTuple):
    edges: list[list[int]]  # pairs of nodes, from 1
    start: int
    goal: int


class Maps(NamedTuple):
    edges: NDArray[np.int64]  # [N, width, 2] nodes from 1; 0, 0 where a map has fewer edges
    ends: NDArray[np.int64]  # [N, 2] start and goal

    def turned(self) -> "Maps":
        return Maps(self.edges[:, :, ::-1], self.ends[:, ::-1])


@dataclass(frozen=True, kw_only=True)
class PathPlanning:
    """Maps of `nodes` nodes, named 1 ... nodes, and `edges` edges; the shortest path has `length` nodes."""

    nodes: int = 12
    edges: int = 24
    length: int = 5

    version = 2

    def __post_init__(self) -> None:
        for key, value, least, most, why in (
            ("length", self.length, 2, MOST_NODES, "a path has a start and a goal"),
            ("nodes", self.nodes, self.length, MOST_NODES, "a path takes no node twice"),
            ("edges", self.edges, self.nodes, MOST_EDGES, "one leads out of each node, and one into it"),
        ):
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"task.subject.{key}={value} must be {least} to {most}: {why}")
        if len(self._trial) < RAREST:
            raise ValueError(
                f"task.subject.edges={self.edges} must be fewer, or task.subject.length={self.length} another: of "
                f"{TRIAL} random maps of {self.nodes} nodes {len(self._trial)} are of use, where no edge is there "
                f"twice and some shortest path has {self.length} nodes; twice as many edges as nodes are a good start"
            )

    @property
    def name(self) -> str:
        return f"path_planning_{self.nodes}x{self.edges}x{self.length}"

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {"nodes": self.nodes, "edges": self.edges, "length": self.length}

    @cached_property
    def form(self) -> Form:
        return Form(
            symbols=(*self._names, EDGE),
            prompt=self.edges + 2,
            thought=self.nodes + self.length + self.length,
            answer=self.length,
            ends=False,
            thought_symbols=(LAYER,),
            thought_ends=(LAYER,),
            steps=ended((LAYER,), spaced=True, kinds=(self._names,)),
            feature_sizes=(self.nodes + 1, self.nodes + 1, GOAL + 1),
            lay=self.lay,
        )

    @property
    def symmetries(self) -> Symmetries:
        return Symmetries(
            leakage=(
                "another order of the edges",
                "other names of the nodes",
                "all edges turned round, start and goal exchanged: the same path, read backwards",
            )
        )

    def lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        """Edges, start, goal; columns 1 and 2: an edge's source and target; column 3: 1 start, 2 goal."""
        edges, start, goal = read(prompt)
        features = np.zeros((len(edges) + 2, 4), np.int64)
        features[:-2, 1:3] = edges
        features[-2:, 3] = START, GOAL
        return " ".join([*[EDGE] * len(edges), str(start), str(goal)]), features

    def draw(self, seed: int, count: int) -> list[Problem]:
        return self.draw_wanted(seed, count, every)

    def draw_wanted(self, seed: int, count: int, wanted: Wanted) -> list[Problem]:
        drawn = kept = 0

        def draw(attempt: int, missing: int) -> list[Problem]:
            nonlocal drawn, kept
            times = drawn / kept if kept else TRIAL / len(self._trial)
            maps = self._maps(f"{seed}/{attempt}", int((missing + 8) * times))
            problems = [self._ask(each) for each in compress(maps, wanted([written(each) for each in maps]))]
            drawn, kept = drawn + int((missing + 8) * times), kept + len(problems)
            return problems

        return in_rounds(draw, count, ROUNDS)

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """A person's map: "3>5 5>7 3 7" or "3->5, 5->7; 3 7"; it may have fewer edges than those drawn.

        Raises: PuzzleError, also where the shortest path is of another length.
        """
        made = self._ask(self._parse(prompt))
        check_thought(self.form, thought)
        if answer:
            spelled = " ".join(re.sub(r"[-=>→,]", " ", answer).split()) if len(answer) <= LONGEST_PROMPT else answer
            check_answer(self, made, spelled)
            made = made._replace(thought=made.thought.removesuffix(made.answer) + spelled, answer=spelled)
        return made._replace(thought=thought or made.thought)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        maps = read_all(prompts, self.edges)
        forward, backward = (keys(self._structures(side), HEARD) for side in (maps, maps.turned()))
        return (forward + backward).tolist()

    def same(self, first: str, second: str) -> bool:
        pair = read_all([first, second], self.edges)
        sides = (
            pair,
            Maps(*(np.stack([kept[0], turned[1]]) for kept, turned in zip(pair, pair.turned(), strict=True))),
        )
        return any(isomorphic(self._structures(side)) for side in sides)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        if len(answer) > LONGEST_PROMPT:
            return Verdict(False, f"{self.length} nodes expected, got a text of {len(answer)} characters")
        path = answer.split(" ")
        if len(path) != self.length:
            return Verdict(False, f"{self.length} nodes expected, got {len(path) if answer else 0}")
        for place, node in enumerate(path, start=1):
            if node not in self._names:
                return Verdict(False, f"{node[:20]!r} at place {place} is not a node from 1 to {self.nodes}")
        *edges, start, goal = problem.prompt.split(" ")
        if path[0] != start:
            return Verdict(False, f"the path starts at {path[0]}, not at {start}")
        if path[-1] != goal:
            return Verdict(False, f"the path ends at {path[-1]}, not at {goal}")
        for place, (source, target) in enumerate(pairwise(path), start=1):
            if f"{source}>{target}" not in edges:
                return Verdict(False, f"{source}>{target} at place {place} is not an edge")
        return Verdict(True, "")

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(str(node) for node in range(1, self.nodes + 1))

    @cached_property
    def _trial(self) -> list[Map]:
        return self._maps("trial", TRIAL)

    def _maps(self, seed: str, count: int) -> list[Map]:
        """`count` random maps, less those of no use."""
        edges = self._edges(f"{self.name}/{seed}", count)
        maps, nodes = len(edges), self.nodes
        joined = np.zeros((maps, nodes, nodes), np.int64)
        joined[np.arange(maps)[:, None], edges[:, :, 0], edges[:, :, 1]] = 1
        chance = np.maximum(chances(joined, self.length), chances(joined.mT, self.length).mT)
        ties = random_words(content_key(f"{self.name}/{seed}/pair"), maps, nodes**2) >> np.uint64(32)
        rank = (chance.reshape(maps, nodes**2) << 32) + ties.astype(np.int64)
        rank[~apart(joined, self.length - 1).reshape(maps, nodes**2)] = NEVER
        best = rank.argmin(axis=1)
        return [
            Map(edges, pair // nodes + 1, pair % nodes + 1)
            for edges, pair, least in zip((edges + 1).tolist(), best.tolist(), rank.min(axis=1).tolist(), strict=True)
            if least < NEVER
        ]

    def _edges(self, seed: str, count: int) -> NDArray[np.int64]:
        """[maps, edges, 2] nodes from 0; of maps in which nodes have the same number of edges out, give or take one,
        and of edges in, each is as likely as any other.

        Sources and targets are put together at random; where that gives an edge twice, or a node to itself, the map is
        left out.
        """

        def orders(purpose: str, columns: int) -> NDArray[np.int64]:
            return random_orders(content_key(f"{seed}/{purpose}"), count, columns)

        each, some = divmod(self.edges, self.nodes)
        every = np.broadcast_to(np.tile(np.arange(self.nodes), each), (count, each * self.nodes))
        sources, targets = (
            np.concatenate([every, orders(purpose, self.nodes)[:, :some]], axis=1) for purpose in ("sources", "targets")
        )
        targets = np.take_along_axis(targets, orders("join", self.edges), axis=1)
        sorted_edges = np.sort(sources * self.nodes + targets, axis=1)
        fine = (sources != targets).all(axis=1) & (np.diff(sorted_edges, axis=1) > 0).all(axis=1)
        edges = np.stack([sources, targets], axis=2)[fine]
        return np.take_along_axis(edges, orders("order", self.edges)[fine, :, None], axis=1)

    def _ask(self, asked: Map) -> Problem:
        """Raises: PuzzleError where the shortest path is of another length."""
        edges, start, goal = asked
        layers = search(goal, [(target, source) for source, target in edges], self.length)
        far = next((steps for steps, layer in enumerate(layers) if start in layer), None)
        if far != self.length - 1:
            found = f"no path of {self.length} nodes or fewer" if far is None else f"a path of {far + 1} nodes"
            raise PuzzleError(f"{found} leads from {start} to {goal}; the shortest one has to have {self.length}")
        path = [start]
        for layer in reversed(layers[:-1]):
            path.append(min(target for source, target in edges if source == path[-1] and target in layer))
        answer = " ".join(map(str, path))
        thought = f" {LAYER} ".join([*(" ".join(map(str, layer)) for layer in layers), answer])
        nearer = sum(map(len, search(start, edges, self.length - 1))) - 1
        return Problem(written(asked), thought, answer, nearer)

    def _structures(self, maps: "Maps") -> Structures:
        """Nodes, and an edge each as a vertex, which has a source and a target."""
        rows, width = maps.edges.shape[:2]
        none, there = self.nodes + width, maps.edges[:, :, 0] > 0
        colours = np.zeros((rows, none), np.uint64)
        np.put_along_axis(colours, maps.ends - 1, np.array([[START, GOAL]], np.uint64), axis=1)
        colours[:, self.nodes :] = np.where(there, np.uint64(GOAL + 1), np.uint64(0))
        own = np.broadcast_to(np.arange(self.nodes, none), there.shape)
        relations = (np.stack([own, maps.edges[:, :, side] - 1], axis=2) for side in (0, 1))
        return Structures(colours, [np.where(there[..., None], members, none) for members in relations])

    def _parse(self, prompt: str) -> Map:
        """A person's map. Raises: PuzzleError"""
        if len(prompt) > LONGEST_PROMPT:
            raise PuzzleError(f"the prompt has {len(prompt)} characters, and {LONGEST_PROMPT} are too many")
        symbols = _SEPARATORS.split(_ARROWS.sub(">", prompt).strip(" \t\r\n,;"))
        if not 3 <= len(symbols) <= self.edges + 2:
            raise PuzzleError(f"1 to {self.edges} edges, a start and a goal expected, such as 3>5 5>7 3 7")
        edges = symbols[:-2]
        found, seen = [], dict[str, int]()
        for place, symbol in enumerate(symbols, start=1):
            names = symbol.split(">")
            if len(names) != (2 if place <= len(edges) else 1) or not set(self._names).issuperset(names):
                what = "an edge such as 3>5" if place <= len(edges) else "a node (the start, or the goal)"
                raise PuzzleError(f"symbol {place}, {symbol[:20]!r}, is not {what} with names from 1 to {self.nodes}")
            if names[0] == names[-1] and len(names) == 2:
                raise PuzzleError(f"edge {place} leads from node {names[0]} to itself")
            if len(names) == 2 and (earlier := seen.setdefault(symbol, place)) != place:
                raise PuzzleError(f"edge {place} repeats edge {earlier}")
            found.append([int(name) for name in names])
        return Map(found[:-2], found[-2][0], found[-1][0])


def read(prompt: str) -> Map:
    """The map of a prompt that was drawn or checked."""
    *edges, start, goal = prompt.split(" ")
    return Map([[int(node) for node in edge.split(">")] for edge in edges], int(start), int(goal))


def read_all(prompts: Sequence[str], width: int) -> Maps:
    """The maps of such prompts, which have at most `width` edges."""
    counts = np.array([prompt.count(">") for prompt in prompts], np.int64)
    numbers = np.array(" ".join(prompts).replace(">", " ").split(), np.int64)
    first = (2 * counts + 2).cumsum() - 2  # where each prompt's start and goal are
    edges = np.zeros((len(prompts), width, 2), np.int64)
    there = np.arange(width) < counts[:, None]
    is_end = np.zeros(len(numbers), np.bool_)
    is_end[first] = is_end[first + 1] = True
    edges[there] = numbers[~is_end].reshape(-1, 2)
    return Maps(edges, numbers[is_end].reshape(-1, 2))


def written(asked: Map) -> str:
    """The prompt of a map."""
    return " ".join([*(f"{source}>{target}" for source, target in asked.edges), f"{asked.start} {asked.goal}"])


def search(first: int, edges: Sequence[Sequence[int]], length: int) -> list[list[int]]:
    """Nodes in order by their distance from the first one: lists for 0 ... length - 1 steps."""
    layers, seen = [[first]], {first}
    for _ in range(length - 1):
        layer = {target for source, target in edges if source in layers[-1]} - seen
        layers.append(sorted(layer))
        seen |= layer
    return layers


def apart(joined: NDArray[np.int64], steps: int) -> NDArray[np.bool_]:
    """[N, nodes, nodes] whether the second node is just so many steps away from the first one."""
    reached = np.broadcast_to(np.eye(joined.shape[1], dtype=np.bool_), joined.shape)
    seen = reached.copy()
    for _ in range(steps):
        reached = (reached @ joined > 0) & ~seen
        seen |= reached
    return reached


def chances(joined: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """[N, nodes, nodes] the chance, in parts of CERTAIN, that random edges lead from the first node to one next to the
    second, in the steps that a path of `length` nodes takes up to there."""
    step = joined * (CERTAIN // np.maximum(joined.sum(axis=2, keepdims=True), 1))
    walked = np.broadcast_to(np.eye(joined.shape[1], dtype=np.int64) * CERTAIN, joined.shape)
    for _ in range(length - 2):
        walked = walked @ step // CERTAIN
    return walked @ joined
