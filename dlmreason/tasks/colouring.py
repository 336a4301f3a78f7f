"""Graph colouring: a colour for each node, so that no edge joins two nodes of one colour.

This file decides how graphs are drawn, asked, laid out, thought about and judged. It knows no split and no model.

A prompt reads "1-2 2-5 ...": the edges, in random order, of a random graph with nodes 1, 2, ... that can be coloured.
An edge takes one position: the symbol `e`, its two nodes being features. The answer, "A B A C ...", gives nodes 1, 2,
... their colours; any colouring with no edge inside a colour is right. The thought is a search that goes on with a node
that has the fewest colours left, the lowest of these: "2B" says that node 2 has no other choice than B (a colour that
no node has yet being as good as any other such), "? 2B" that it is tried, "x" that some node has no colour left, which
takes back all since the last try that is still open; that node has then one choice less. The last mention of a node is
its colour in the answer.

difficulty: how often the edges halve the number of possible colourings, floor(log2(colourings of no edges /
colourings)), those that differ only in the colours' names being counted as one.
Leakage, since a copy's answers are the first one's, renamed: the orders of edges and of an edge's nodes, and the names
of the nodes. There is no augmentation besides.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict, random_orders
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.structure import Structures, isomorphic, keys
from dlmreason.tasks.subject import Form, Problem, Symmetries, check_answer, check_thought, content_key, in_rounds

EDGE, TRY, DEAD_END = "e", "?", "x"

NAMES = "ABCDEF"
"""Of colours."""

MOST_COLOURINGS = 100_000
"""All are looked at, those that differ only in the colours' names being one."""

LONGEST_PROMPT = 100_000
"""Characters of a person's prompt."""

ROUNDS = 8
"""Draws after which fewer problems than asked for are handed out: graphs that can be coloured are too rare."""


class Search(NamedTuple):
    """What a search writes, and the colours [nodes] that it finds, from 0; none where no colouring exists."""

    words: list[str]
    colours: list[int]


class Colouring:
    """Graphs of `nodes` nodes and `edges` edges, to be coloured with at most `colours` colours."""

    version = 1
    symmetries = Symmetries(
        leakage=("another order of the edges", "an edge's nodes exchanged", "other names of the nodes")
    )

    def __init__(self, *, nodes: int = 10, edges: int = 18, colours: int = 3) -> None:
        if type(colours) is not int or not 2 <= colours <= len(NAMES):
            raise ValueError(f"task.subject.colours={colours} must be from 2 to {len(NAMES)}: one colour joins nothing")
        most_nodes = max(nodes for nodes in range(2, 19) if count_colourings(nodes, colours) <= MOST_COLOURINGS)
        if type(nodes) is not int or not 2 <= nodes <= most_nodes:
            raise ValueError(
                f"task.subject.nodes={nodes} must be from 2 to {most_nodes} where there are {colours} colours: all "
                f"colourings are looked at one by one"
            )
        sizes = [len(range(colour, nodes, colours)) for colour in range(colours)]  # of a colour's nodes, most even
        most = (nodes**2 - sum(size**2 for size in sizes)) // 2
        if type(edges) is not int or not 1 <= edges <= most:
            raise ValueError(
                f"task.subject.edges={edges} must be from 1 to {most}: with more, no graph of {nodes} nodes can be "
                f"coloured with {colours} colours"
            )
        self.nodes, self.edges, self.colours = nodes, edges, colours
        self.name = f"colouring_{nodes}x{edges}x{colours}"
        self.parameters: Mapping[str, str | int] = {"nodes": nodes, "edges": edges, "colours": colours}
        self._pairs = list(itertools.combinations(range(nodes), 2))
        self._index = {pair: place for place, pair in enumerate(self._pairs)}
        self._breaks = broken_colourings(nodes, colours)
        words = [f"{node}{NAMES[colour]}" for node in range(1, nodes + 1) for colour in range(colours)]
        self._words = dict(zip(itertools.product(range(nodes), range(colours)), words, strict=True))
        of_node = tuple(tuple(words[first : first + colours]) for first in range(0, len(words), colours))
        self.form = Form(
            symbols=(EDGE, *NAMES[:colours]),
            prompt=edges,
            thought=nodes**2 // 2,  # near the threshold 1 search in 5,000 is longer, and is left out
            answer=nodes,
            ends=False,
            thought_symbols=(*words, TRY, DEAD_END),
            feature_sizes=(nodes + 1,) * 2,
            lay=self._lay,
            steps=Steps(r"\? \S+", of_node, guesses=(TRY,), longest=1),
        )

    def draw(self, seed: int, count: int) -> list[Problem]:
        """Graphs are left out where they cannot be coloured, and where the search takes longer than a thought."""

        def draw(attempt: int, missing: int) -> list[Problem]:
            return self._draw(content_key(f"{self.name}/{seed}/{attempt}"), 2 * missing + 16)

        return in_rounds(draw, count, ROUNDS)

    def _draw(self, seed: int, count: int) -> list[Problem]:
        chosen = random_orders(seed, count, len(self._pairs))[:, : self.edges]
        right = self._colourings(chosen)
        problems = []
        for row in np.flatnonzero(right):
            edges = [self._pairs[place] for place in chosen[row]]
            search = self._search(edges)
            if len(search.words) <= self.form.thought:
                thought, answer = " ".join(search.words), _answer(search.colours)
                problems.append(Problem(_prompt(edges), thought, answer, self._difficulty(int(right[row]))))
        return problems

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """A person's graph: "1-2 2-5", "(1,2), (2,5)" or an edge a line; "ABAC" is an answer.

        Raises: PuzzleError for what is no such graph, one with too many edges, or one that cannot be coloured.
        """
        edges = self._parse(prompt)
        right = int(self._colourings(np.array([[self._index[edge] for edge in edges]]))[0])
        if not right:
            raise PuzzleError(f"{self.colours} colours are not enough for this graph")
        check_thought(self.form, thought)
        found = Problem(_prompt(edges), thought, _spelled(answer), self._difficulty(right))
        if found.answer:
            check_answer(self, found, found.answer)
            return found
        search = self._search(edges)
        made = " ".join(search.words) if len(search.words) <= self.form.thought else ""
        return found._replace(thought=thought or made, answer=_answer(search.colours))

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return keys(self._structures(prompts), pointed=True).tolist() if prompts else []

    def same(self, first: str, second: str) -> bool:
        return isomorphic(self._structures([first, second]))

    def judge(self, problem: Problem, answer: str) -> Verdict:
        if len(answer) > 20 * self.nodes:
            return Verdict(False, f"{self.nodes} colours expected, got a text of {len(answer)} characters")
        colours = answer.split(" ")
        if len(colours) != self.nodes:
            return Verdict(False, f"{self.nodes} colours expected, got {len(colours) if answer else 0}")
        for node, colour in enumerate(colours, start=1):
            if colour not in self.form.symbols[1:]:
                names = " ".join(self.form.symbols[1:])
                return Verdict(False, f"{colour[:20]!r} at place {node} is none of the colours {names}")
        for first, second in _edges(problem.prompt):
            if colours[first] == colours[second]:
                return Verdict(False, f"nodes {first + 1} and {second + 1} are joined and both are {colours[first]}")
        return Verdict(True, "")

    def _parse(self, prompt: str) -> list[tuple[int, int]]:
        if len(prompt) > LONGEST_PROMPT:
            raise PuzzleError(f"the prompt has {len(prompt)} characters, and {LONGEST_PROMPT} are too many")
        names = re.sub(r"[-–—−,;:()\[\]{}]", " ", prompt).split()  # noqa: RUF001
        nodes = {str(node): node - 1 for node in range(1, self.nodes + 1)}
        for place, name in enumerate(names, start=1):
            if name not in nodes:
                raise PuzzleError(f"name {place}, {name[:20]!r}, is not a node from 1 to {self.nodes}")
        if len(names) % 2 or not 2 <= len(names) <= 2 * self.edges:
            raise PuzzleError(f"1 to {self.edges} edges of two nodes each expected, got {len(names)} names of nodes")
        seen: dict[tuple[int, int], int] = {}
        for place, (one, other) in enumerate(zip(names[::2], names[1::2], strict=True), start=1):
            first, second = sorted((nodes[one], nodes[other]))
            if first == second:
                raise PuzzleError(f"edge {place} joins node {one} to itself")
            if (first, second) in seen:
                raise PuzzleError(f"edge {place} repeats edge {seen[first, second]}")
            seen[first, second] = place
        return list(seen)

    def _structures(self, prompts: Sequence[str]) -> Structures:
        edges = np.full((len(prompts), max(prompt.count("-") for prompt in prompts), 2), self.nodes)
        for row, prompt in enumerate(prompts):
            found = _edges(prompt)
            edges[row, : len(found)] = found
        return Structures(np.zeros((len(prompts), self.nodes), np.uint64), (edges,))

    def _lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        edges = _edges(prompt)
        features = np.zeros((len(edges), 3), np.int64)
        features[:, 1:] = np.array(edges) + 1
        return " ".join([EDGE] * len(edges)), features

    def _colourings(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """[N] how many colourings are right for graphs [N, edges] of indices of pairs, up to the colours' names."""
        broken = np.zeros((len(chosen), self._breaks.shape[1]), np.uint64)
        for place in range(chosen.shape[1]):
            broken |= self._breaks[chosen[:, place]]
        every = count_colourings(self.nodes, self.colours)
        return every - np.bitwise_count(broken).sum(axis=1, dtype=np.int64)

    def _difficulty(self, right: int) -> int:
        return (count_colourings(self.nodes, self.colours) // right).bit_length() - 1

    def _search(self, edges: Sequence[tuple[int, int]]) -> Search:
        """Depth first; the node with the fewest choices next, the lowest of these; its lowest colour first."""
        joined: list[list[int]] = [[] for _ in range(self.nodes)]
        for first, second in edges:
            joined[first].append(second)
            joined[second].append(first)
        words: list[str] = []
        tries: list[tuple[list[int], list[int], int, int, int]] = []
        colours = [0] * self.nodes
        left = [(1 << self.colours) - 1] * self.nodes  # [node] bits of the colours that it may still have
        free = list(range(self.nodes))
        used = 0  # colours that nodes have: 0 ... used - 1
        while free:
            # of the colours that no node has yet, one is as good as any other: only the first is a choice
            known = (2 << used) - 1
            node = min(free, key=lambda node: (left[node] & known).bit_count())
            choices = left[node] & known
            if not choices:
                words.append(DEAD_END)
                if not tries:
                    return Search(words, [])
                left, free, used, node, colour = tries.pop()
                left[node] &= ~(1 << colour)
                continue
            colour = (choices & -choices).bit_length() - 1
            if choices & (choices - 1):
                tries.append((left.copy(), free, used, node, colour))
                words.append(TRY)
            words.append(self._words[node, colour])
            colours[node] = colour
            for other in joined[node]:
                left[other] &= ~(1 << colour)
            free = [other for other in free if other != node]
            used = max(used, colour + 1)
        return Search(words, colours)


def _prompt(edges: Sequence[tuple[int, int]]) -> str:
    return " ".join([f"{first + 1}-{second + 1}" for first, second in edges])


def _edges(prompt: str) -> list[tuple[int, int]]:
    """Nodes, from 0, of a prompt that was drawn or checked."""
    numbers = [int(name) - 1 for name in prompt.replace("-", " ").split(" ")]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _spelled(answer: str) -> str:
    """A person's answer as the judge reads it."""
    return " ".join("".join(answer.split()).upper())


def _answer(colours: Sequence[int]) -> str:
    return " ".join([NAMES[colour] for colour in colours])


def count_colourings(nodes: int, colours: int) -> int:
    """Of nodes without edges, up to the colours' names: the ways to part `nodes` into at most `colours` sets."""
    ways = [1] + [0] * colours  # [sets used]
    for _ in range(nodes):
        ways = [0] + [sets * ways[sets] + ways[sets - 1] for sets in range(1, colours + 1)]
    return sum(ways)


def broken_colourings(nodes: int, colours: int) -> NDArray[np.uint64]:
    """[pairs, words] bits: the colourings, up to the colours' names, in which a pair of nodes has one colour."""
    every = np.zeros((1, 1), np.int8)  # [colourings, nodes]; a node takes a colour that is in use, or the next one
    for _ in range(1, nodes):
        most = every.max(axis=1) + 1
        grown = [(every[most >= colour], colour) for colour in range(colours)]
        every = np.concatenate([np.column_stack([old, np.full(len(old), colour, np.int8)]) for old, colour in grown])
    bits = [
        np.packbits(every[:, first] == every[:, second]) for first, second in itertools.combinations(range(nodes), 2)
    ]
    return np.pad(bits, ((0, 0), (0, -len(bits[0]) % 8))).view(np.uint64)
