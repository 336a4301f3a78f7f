"""Star graphs G(d, l): from the middle, find the arm that leads to the goal [arXiv:2403.06963].

This file decides how such a graph is drawn, asked, laid out and judged. It knows no model. The first edge of the path
can be told only from its far end, so a model that writes one node after another and has not thought must guess the
arm.

A prompt reads "3>5 5>7 3>2 2>9 3 7": the edges in random order, the start, the goal. An edge takes one position: the
symbol `e`, its two nodes being features. The thought is the path from the goal back to the start; the answer is the
path itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import (
    SPLITS,
    Example,
    Layout,
    PuzzleError,
    Sheet,
    Verdict,
    example_seed,
    mix,
    random_orders,
    split_of,
    thoughts_of,
)
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.subject import Symmetries
from dlmreason.tasks.vocabulary import Closed

VERSION = 1
"""Part of every provenance: to be raised by any change that draws other items from the same seed."""

BLOCK = 512
FRUITLESS = 24
"""Blocks without a new graph after which a split is given up."""

MOST_CHARACTERS = 8
"""Of an answer, for each node beyond its name's: room for any symbol and a space; a longer text is refused unread."""

EDGE = "e"
START, GOAL, FIRST = 1, 2, 3
"""Ids of the feature column that tells the start, the goal, and the answer's places from FIRST on."""


class StarGraph:
    """The star-graph task: `arms` paths of `length` nodes that share their start; difficulty = arms * 100 + length.

    length: nodes of the path, start and goal included.  nodes: names to draw from, written 1 ... nodes.
    """

    in_place = False
    answers_end = False
    unique = True
    symmetries = Symmetries(
        leakage=("edges in another order: they are a set, and the order says nothing of the path",),
        augmentation=(
            "nodes renamed: all graphs of one shape are the same up to renaming, so no other graph could be tested on",
        ),
    )

    def __init__(
        self,
        *,
        train_examples: int,
        validation_examples: int,
        test_examples: int,
        arms: int = 2,
        length: int = 4,
        nodes: int = 11,
        seed: int = 0,
    ) -> None:
        for key, value, least, why in (
            ("arms", arms, 1, "a star has arms"),
            ("length", length, 2, "a path has a start and a goal"),
            ("nodes", nodes, 1 + arms * (length - 1), "every node of the graph needs a name of its own"),
            ("train_examples", train_examples, 1, "a split has items"),
            ("validation_examples", validation_examples, 1, "a split has items"),
            ("test_examples", test_examples, 1, "a split has items"),
            ("seed", seed, 0, "a seed is a natural number"),
        ):
            if type(value) is not int or not least <= value < 2**63:
                raise ValueError(f"task.{key}={value} must be a whole number, {least} or more: {why}")
        self.arms, self.path_length, self.nodes, self.seed = arms, length, nodes, seed
        self.edges = arms * (length - 1)
        self.name = f"star_graph_{arms}x{length}"
        self.feature_sizes = (nodes + 1, nodes + 1, FIRST + length)
        self.prompt_length, self.answer_length = self.edges + 2, length
        self.layout = Layout(1, length, 1, length, first=self.edges + 3)
        self._vocabulary = Closed([*map(str, range(1, nodes + 1)), EDGE])
        self._names = frozenset(self._vocabulary.symbols[:nodes])
        self.steps = Steps(kinds=(self._vocabulary.symbols[:nodes],), longest=1)
        self._counts = dict(zip(SPLITS, (train_examples, validation_examples, test_examples), strict=True))
        self._splits = {split: Items(self, split, count) for split, count in self._counts.items()}
        self.provenance: dict[str, str | int] = {"source": "generated", "generator": VERSION, "seed": seed}
        self.provenance |= {"arms": arms, "length": length, "nodes": nodes}
        self.provenance |= {f"{split}_examples": count for split, count in self._counts.items()}

    def vocabulary(self, thought: bool) -> Closed:
        return self._vocabulary

    def length(self, *, in_place: bool, thought: bool) -> int:
        self._refuse(in_place)
        return self.edges + 3 + self.path_length * (2 if thought else 1)

    def examples(self, split: str) -> Sequence[Example]:
        if split not in self._splits:
            raise ValueError(f"split={split} is unknown: use {', '.join(SPLITS)}")
        return self._splits[split]

    def example(self, puzzle: str) -> Example:
        """A person's graph, "3>5 5>7 ... 3 7": edges, then start and goal.

        Raises: PuzzleError for a symbol that is neither, a name out of range, or no path of the task's length.
        """
        *edges, start, goal = puzzle.split() if len(puzzle.split()) > 1 else ["", ""]
        for place, symbol in enumerate([*edges, start, goal], start=1):
            parts = symbol.split(">")
            if len(parts) != (2 if place <= len(edges) else 1) or not self._names.issuperset(parts):
                form = "an edge such as 3>5" if place <= len(edges) else "a node (the start, or the goal)"
                raise PuzzleError(f"symbol {place}, {symbol[:20]!r}, is not {form} with names from 1 to {self.nodes}")
        if len(edges) != self.edges:
            raise PuzzleError(f"{self.edges} edges expected, got {len(edges)}")
        ends = [(source, target) for source, target in (edge.split(">") for edge in edges)]
        paths = [[start]]
        for _ in range(self.path_length - 1):
            paths = [[*path, target] for path in paths for source, target in ends if source == path[-1]]
            paths = list({path[-1]: path for path in paths}.values())  # one way to each node is enough
        found = [path for path in paths if path[-1] == goal]
        if not found:
            raise PuzzleError(f"no path of {self.path_length} nodes leads from {start} to {goal}")
        return self._example("given/" + "-".join([*edges, start, goal]), edges, found[0])

    def sheet(self, example: Example, *, in_place: bool, thought: bool) -> Sheet:
        """Edges, start, goal | [thought] | #### | path; one position per edge.

        Feature columns: an edge's source and target, and a place (1 start, 2 goal, 3 ... the answer's first, second,
        ...).
        """
        self._refuse(in_place)
        vocabulary, edges = self._vocabulary, self.edges
        *pairs, start, goal = example.prompt.split(" ")
        middle = f"{example.thought} ####" if thought and example.thought else "####"
        given = [*[vocabulary.encode(EDGE)[0]] * edges, *vocabulary.encode(f"{start} {goal}")]
        gold = vocabulary.encode(example.answer) if example.answer else [vocabulary.mask_id] * self.path_length
        tokens = np.array([*given, *vocabulary.encode(middle), *gold], np.int64)
        answer_at = len(tokens) - self.path_length
        features = np.zeros((len(tokens), 3), np.int64)
        features[:edges, :2] = [[int(end) for end in pair.split(">")] for pair in pairs]
        features[edges : edges + 2, 2] = START, GOAL
        features[answer_at:] = self.answer_features()
        editable = np.arange(len(tokens)) >= (edges + 2 if thought else answer_at)
        marker = editable & (np.arange(len(tokens)) == answer_at - 1)
        return Sheet(tokens, editable, features, answer_at, thoughts_of(marker))

    def answer_features(self) -> NDArray[np.int64]:
        features = np.zeros((self.path_length, 3), np.int64)
        features[:, 2] = FIRST + np.arange(self.path_length)
        return features

    def keys(self, prompts: Sequence[str]) -> list[int]:
        """64-bit words, equal for prompts that are copies under the leakage symmetries."""
        symbols = [prompt.split(" ") for prompt in prompts]
        edges = np.array([[edge.split(">") for edge in each[:-2]] for each in symbols]).astype(np.int64)
        ends = np.array([each[-2:] for each in symbols]).astype(np.int64)
        return Graphs(edges.reshape(-1, self.edges, 2), ends.reshape(-1, 2)).keys().tolist()

    def same(self, first: str, second: str) -> bool:
        """Whether two prompts are copies: exact."""
        (*edges, start, goal), (*others, other_start, other_goal) = first.split(" "), second.split(" ")
        return (start, goal) == (other_start, other_goal) and sorted(edges) == sorted(others)

    def verify(self, example: Example, answer: str) -> Verdict:
        if len(answer) > (MOST_CHARACTERS + len(str(self.nodes))) * self.path_length:
            return Verdict(False, f"{self.path_length} nodes expected, got {len(answer)} characters")
        path = answer.split()
        if len(path) != self.path_length:
            return Verdict(False, f"{self.path_length} nodes expected, got {len(path)}")
        *edges, start, goal = example.prompt.split(" ")
        for place, node in enumerate(path, start=1):
            if node not in self._names:
                return Verdict(False, f"{node[:20]!r} at place {place} is not a node from 1 to {self.nodes}")
        if path[0] != start:
            return Verdict(False, f"the path starts at {path[0]}, not at {start}")
        if path[-1] != goal:
            return Verdict(False, f"the path ends at {path[-1]}, not at {goal}")
        there = set(edges)
        for place, (source, target) in enumerate(pairwise(path), start=1):
            if f"{source}>{target}" not in there:
                return Verdict(False, f"{source}>{target} at place {place} is not an edge")
        return Verdict(True, "")

    def _refuse(self, in_place: bool) -> None:
        if in_place:
            raise ValueError("in_place=True: a path cannot be written into the edges of a graph; use in_place=False")

    def _example(self, id: str, edges: Sequence[str], path: Sequence[str]) -> Example:
        prompt = " ".join([*edges, path[0], path[-1]])
        return Example(id, prompt, " ".join(reversed(path)), " ".join(path), self.arms * 100 + self.path_length)


@dataclass
class Graphs:
    """Drawn graphs, row by row: edges [N, E, 2] and the path [N, length], as names from 1."""

    edges: NDArray[np.int64]
    paths: NDArray[np.int64]

    def keys(self) -> NDArray[np.uint64]:
        """[N]: equal for the same set of edges with the same start and goal, whatever the order of the edges."""
        words = self.edges.astype(np.uint64)
        edges = mix((words[:, :, 0] << np.uint64(32)) + words[:, :, 1]).sum(axis=1, dtype=np.uint64)
        ends = self.paths[:, [0, -1]].astype(np.uint64)
        return mix(edges + mix((ends[:, 0] << np.uint64(32)) + ends[:, 1] + (np.uint64(1) << np.uint64(63))))


def draw_block(task: StarGraph, split: str, index: int) -> Graphs:
    """One block of draws that belong to the split: a graph's content decides its own split, so no two share one."""

    def seed(purpose: str) -> int:
        return example_seed(task.name, f"{split}/{purpose}", task.seed, index)

    steps = task.path_length - 1
    names = random_orders(seed("names"), BLOCK, task.nodes)[:, : 1 + task.edges] + 1
    ends = names[:, 1:].reshape(BLOCK, task.arms, steps)
    start = np.broadcast_to(names[:, :1, None], (BLOCK, task.arms, 1))
    edges = np.stack([np.concatenate([start, ends[:, :, :-1]], axis=2), ends], axis=3).reshape(BLOCK, task.edges, 2)
    edges = np.take_along_axis(edges, random_orders(seed("edges"), BLOCK, task.edges)[:, :, None], axis=1)
    paths = np.concatenate([start[:, 0], ends[:, 0]], axis=1)  # names are random, so the first arm is as good as any
    graphs = Graphs(edges, paths)
    mine = split_of(graphs.keys()) == SPLITS.index(split)
    return Graphs(graphs.edges[mine], graphs.paths[mine])


class Items(Sequence[Example]):
    """A split's items, made when they are looked at; evaluated graphs differ from each other."""

    def __init__(self, task: StarGraph, split: str, count: int) -> None:
        self._task, self._split, self._count = task, split, count
        self._rows: list[tuple[Graphs, int]] = []
        self._seen: set[int] = set()
        self._blocks = 0

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._count))]
        index = range(self._count)[index]
        self._grow(index + 1)
        graphs, row = self._rows[index]
        edges = [f"{source}>{target}" for source, target in graphs.edges[row].tolist()]
        path = [str(node) for node in graphs.paths[row].tolist()]
        return self._task._example(f"{self._split}/{self._task.seed}/{index}", edges, path)

    def _grow(self, count: int) -> None:
        fruitless = 0
        while len(self._rows) < count:
            before, graphs = len(self._rows), draw_block(self._task, self._split, self._blocks)
            self._blocks += 1
            for row, key in enumerate(graphs.keys().tolist()):
                if self._split != "train":
                    if key in self._seen:
                        continue
                    self._seen.add(key)
                self._rows.append((graphs, row))
            fruitless = 0 if len(self._rows) > before else fruitless + 1
            if fruitless == FRUITLESS:
                raise ValueError(
                    f"task.nodes={self._task.nodes} gives no more than {before} different {self._split} graphs: raise "
                    f"task.nodes, or lower task.{self._split}_examples to {before}"
                )
