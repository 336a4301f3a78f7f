"""Boolean expressions: the value of a full binary tree of operators [DoT, arXiv:2402.07754; DyVal, arXiv:2309.17167].

This file decides how expressions are drawn, written, worked out and judged. It knows no model. Every tree is complete,
with 2^depth values at its leaves, and `not` is part of the operators nand and nor: so that a value stands at the same
position in every prompt and in every thought. (DyVal's trees have `not` as a node of its own, and are told in
sentences.)

A prompt reads "( T nand F ) or ( F and T )". Before a model it lies without parentheses: the height of an operator is
a feature instead. The thought is the value of every operator, the lowest ones first, left to right: "T F T" here. It
is as long as there are operators, whereas a trace of rewritten expressions would mostly copy. The answer is the last of
these, T or F. Difficulty: the fewest operators whose values settle the answer, for one F settles an `and`.

The value of a tree is drawn first, T or F, then the operators, whatever the value, then values below that agree: so
answers are balanced, and the operators together tell nothing of the answer, nor does a guess from one of them (right in
.500; .750 were the values below drawn first). Where each operator's negation is drawn too, nothing at all is told by
everything but the operators of one height. Exact figures for depth 3 with the four standard operators: guessing from
all operators and one value is right in .648, with the number of T in .707, with that number in each half in .857; from
the root's operator and the value of one half, which is half of the work, in 5/6.

Copies, and thus leakage: the operands of an operator may change places. There are 312 different expressions of depth 2
and 195,312 of depth 3: with four operators, 4 n (n + 1) / 2 of n.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.subject import Form, Problem, Symmetries, check_answer, check_thought, content_key

TRUE = {
    "and": ("TT",),
    "or": ("TT", "TF", "FT"),
    "nand": ("FF", "TF", "FT"),
    "nor": ("FF",),
    "xor": ("TF", "FT"),
    "xnor": ("TT", "FF"),
}
"""The pairs of values that each operator makes T; all of them are blind to the order."""

NEGATED = {"and": "nand", "nand": "and", "or": "nor", "nor": "or", "xor": "xnor", "xnor": "xor"}
NOT = {"T": "F", "F": "T"}
SETTLES = {"and": "F", "nand": "F", "or": "T", "nor": "T"}
"""The value of one operand that makes the other one idle."""

MOST_DEPTH = 8
MOST_NESTED = 60
"""Parentheses and negations around each other in a person's expression."""

WORDS = {"t": "T", "true": "T", "1": "T", "f": "F", "false": "F", "0": "F", "&": "and", "|": "or", "^": "xor"}
WORDS |= {"&&": "and", "||": "or", "!": "not", "~": "not", "(": "(", ")": ")", "not": "not"}
WORDS |= {operator: operator for operator in TRUE}
_PARTS = re.compile(r"[A-Za-z0-9]+|&&|\|\||\S")

Tree = str | tuple[str, "Tree", "Tree"]  # T, F, or an operator and its operands


@dataclass(frozen=True, kw_only=True)
class Boolean:
    """Expressions with `depth` operators on every way from the root to a leaf."""

    depth: int = 3
    operators: tuple[str, ...] = ("and", "or", "nand", "nor")  # all as likely; also xor and xnor

    version = 1

    def __post_init__(self) -> None:
        if type(self.depth) is not int or not 1 <= self.depth <= MOST_DEPTH:
            raise ValueError(f"task.subject.depth={self.depth} must be 1 to {MOST_DEPTH}: there are 2^depth values")
        listed = isinstance(self.operators, list | tuple) and all(type(each) is str for each in self.operators)
        if not listed or not self.operators or not TRUE.keys() >= set(self.operators):
            raise ValueError(
                f"task.subject.operators={self.operators} must be a list of one or more of {', '.join(TRUE)}: an "
                f"operator joins two values; write nand and nor for `not`"
            )
        if len(set(self.operators)) < len(self.operators):
            raise ValueError(
                f"task.subject.operators={list(self.operators)} must be different ones: leave out the repeated"
            )
        object.__setattr__(self, "operators", tuple(self.operators))  # a config has a list

    @property
    def name(self) -> str:
        standard = self.operators == ("and", "or", "nand", "nor")
        return "_".join([f"boolean_{self.depth}", *(() if standard else self.operators)])

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {"depth": self.depth, "operators": " ".join(self.operators)}

    @cached_property
    def form(self) -> Form:
        return Form(
            symbols=("T", "F", *self.operators),
            prompt=2 ** (self.depth + 1) - 1,
            thought=2**self.depth - 1,
            answer=1,
            ends=False,
            feature_sizes=(self.depth + 1,),
            lay=self.lay,
            unique=True,
            steps=Steps(kinds=(("T", "F"),), longest=1),
        )

    @property
    def symmetries(self) -> Symmetries:
        return Symmetries(
            leakage=("the operands of an operator change places",),
            augmentation=(
                "the dual: T and F, and and or, nand and nor, xor and xnor change places. The answer is the other one, "
                "so who knows the one by heart is wrong about the other",
                "an operator above the leaves and its two values are replaced by others of the same value: what is "
                "below has to be worked out anew",
            ),
        )

    def lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        """Values and operators without parentheses; column 0: 1 at the root; column 1: heights, 0 at a leaf."""
        return " ".join(_symbols(prompt)), self._heights

    @cached_property
    def _heights(self) -> NDArray[np.int64]:
        features = np.zeros((2 ** (self.depth + 1) - 1, 2), np.int64)
        for height in range(1, self.depth + 1):
            features[2**height - 1 :: 2 ** (height + 1), 1] = height
        features[2**self.depth - 1, 0] = 1
        features.setflags(write=False)
        return features

    def draw(self, seed: int, count: int) -> list[Problem]:
        source = random.Random(f"{self.name}/{seed}")
        return [self._ask(self._drawn(source)) for _ in range(count)]

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """An expression with and, or, not, ... or &, |, !, ..., true and false; one operator in each parenthesis.

        A negation moves into the operator or the value below it, and a value that stands where operators are expected
        becomes ( T and T ), or the like.  Raises: PuzzleError
        """
        made = self._ask(self._full(_read(prompt, most=40 * 2**self.depth), self.depth))
        check_answer(self, made, WORDS.get(answer.strip().lower(), answer))
        check_thought(self.form, thought)
        return made._replace(thought=thought or made.thought)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(self._canonical(prompt)) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return self._canonical(first) == self._canonical(second)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        if len(answer) != 1 or answer not in NOT:
            return Verdict(False, f"T or F expected, got {len(answer)} characters, {answer[:20]!r}")
        if answer != self._values(_symbols(problem.prompt))[-1]:
            return Verdict(False, f"the value of the expression is {NOT[answer]}")
        return Verdict(True, "")

    def _drawn(self, source: random.Random) -> list[str]:
        """A tree's symbols, left to right."""
        symbols, values = [""] * (2 ** (self.depth + 1) - 1), source.choice("TF")
        for height in range(self.depth, 0, -1):
            operators = source.choices(self.operators, k=len(values))
            values = "".join(
                source.choice(_CAUSES[operator, value]) for operator, value in zip(operators, values, strict=True)
            )
            symbols[2**height - 1 :: 2 ** (height + 1)] = operators
        symbols[::2] = values
        return symbols

    def _levels(self, symbols: Sequence[str]) -> list[Sequence[str]]:
        """The operators of each height from 1 on, left to right."""
        return [symbols[2**height - 1 :: 2 ** (height + 1)] for height in range(1, self.depth + 1)]

    def _values(self, symbols: Sequence[str]) -> list[str]:
        """The value of each operator, the lowest ones first."""
        found, values = [], list(symbols[::2])
        for operators in self._levels(symbols):
            pairs = zip(operators, values[::2], values[1::2], strict=True)
            values = ["T" if left + right in TRUE[operator] else "F" for operator, left, right in pairs]
            found += values
        return found

    def _canonical(self, prompt: str) -> str:
        """The expression in Polish notation, operands in alphabetical order."""
        symbols = _symbols(prompt)
        parts = list(symbols[::2])
        for operators in self._levels(symbols):
            pairs = zip(operators, parts[::2], parts[1::2], strict=True)
            parts = [
                f"{operator} {left} {right}" if left < right else f"{operator} {right} {left}"
                for operator, left, right in pairs
            ]
        return parts[0]

    def _ask(self, symbols: Sequence[str]) -> Problem:
        parts, values = list(symbols[::2]), list(symbols[::2])
        needs, at = [0] * len(parts), 0
        found = self._values(symbols)
        for operators in self._levels(symbols):
            nodes = list(zip(operators, range(0, len(parts), 2), strict=True))
            parts = [f"( {parts[left]} {operator} {parts[left + 1]} )" for operator, left in nodes]
            needs = [_need(operator, values[left : left + 2], needs[left : left + 2]) for operator, left in nodes]
            values = found[at : at + len(nodes)]
            at += len(nodes)
        return Problem(parts[0][2:-2], " ".join(found), found[-1], needs[0])

    def _full(self, tree: Tree, height: int) -> list[str]:
        """The symbols of a tree that is filled up to `height`. Raises: PuzzleError"""
        if isinstance(tree, str):
            if height == 0:
                return [tree]
            idle = next((each for each in ("and", "or") if each in self.operators), None)
            if idle is None:
                raise PuzzleError(f"a value stands where {height} more operators are expected below each other")
            below = self._full(tree, height - 1)
            return [*below, idle, *below]
        operator, left, right = tree
        if height == 0:
            raise PuzzleError(f"more than {self.depth} operators stand below each other")
        if operator not in self.operators:
            raise PuzzleError(f"{operator} is not among the operators here, {', '.join(self.operators)}")
        return [*self._full(left, height - 1), operator, *self._full(right, height - 1)]


_CAUSES = {
    (operator, value): tuple(pair for pair in ("TT", "TF", "FT", "FF") if (pair in TRUE[operator]) == (value == "T"))
    for operator in TRUE
    for value in "TF"
}
"""The pairs of values that give an operator its value."""


def _symbols(prompt: str) -> list[str]:
    return [symbol for symbol in prompt.split(" ") if symbol not in "()"]


def _need(operator: str, values: Sequence[str], needs: Sequence[int]) -> int:
    """The fewest operators to know, this one included, given how many each operand needs."""
    settling = [need for value, need in zip(values, needs, strict=True) if value == SETTLES.get(operator)]
    return 1 + (min(settling) if settling else sum(needs))


def _read(text: str, most: int) -> Tree:
    """A person's expression. Raises: PuzzleError"""
    if len(text) > most + 200:
        raise PuzzleError(f"{len(text)} characters are too many for such an expression; at most {most + 200}")
    symbols = []
    for place, part in enumerate(_PARTS.findall(text), start=1):
        if part.lower() not in WORDS:
            raise PuzzleError(f"symbol {place}, {part[:20]!r}, is no value, operator or parenthesis")
        symbols.append(WORDS[part.lower()])
    tree, end = _group(symbols, 0, 0)
    if end < len(symbols):
        raise PuzzleError(f"symbol {end + 1}, {symbols[end]}, is one too many: each parenthesis joins two operands")
    return tree


def _group(symbols: Sequence[str], at: int, nested: int) -> tuple[Tree, int]:
    """An operand, or two of them and their operator, from place `at` on; and the place after it."""
    left, at = _operand(symbols, at, nested)
    if at == len(symbols) or symbols[at] not in TRUE:
        return left, at
    right, end = _operand(symbols, at + 1, nested)
    return (symbols[at], left, right), end


def _operand(symbols: Sequence[str], at: int, nested: int) -> tuple[Tree, int]:
    if nested > MOST_NESTED:
        raise PuzzleError(f"more than {MOST_NESTED} parentheses and negations stand around each other")
    symbol = symbols[at] if at < len(symbols) else "the end"
    if symbol in NOT:
        return symbol, at + 1
    if symbol == "not":
        tree, at = _operand(symbols, at + 1, nested + 1)
        return NOT[tree] if isinstance(tree, str) else (NEGATED[tree[0]], *tree[1:]), at
    if symbol != "(":
        raise PuzzleError(f"symbol {at + 1} is {symbol} where a value or a parenthesis is expected")
    tree, at = _group(symbols, at + 1, nested + 1)
    if at == len(symbols) or symbols[at] != ")":
        found = symbols[at] if at < len(symbols) else "the end"
        raise PuzzleError(f"symbol {at + 1} is {found} where ) is expected: each parenthesis joins two operands")
    return tree, at + 1
