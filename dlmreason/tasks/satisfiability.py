"""Random 3-SAT: values of the variables that make every clause true [arXiv:2410.14157 asks it of 5, 7, 9 variables].

This file decides how formulas are drawn, asked, laid out, thought about and judged. It knows no split and no model.

A prompt reads "1 -3 4 , -1 2 5 , ...": clauses of three different variables, -3 being "not 3"; formulas are drawn from
all those without a repeated clause, and kept where they can be satisfied. A clause takes one position: the symbol `c`,
its literals being features. The answer, "T F F T F", gives variables 1, 2, ... their values; any that satisfies is
right. The thought is a search with unit propagation: "1" says that 1 must be true, "? 1" that it is tried, "x" that a
clause has become false, which takes back all since the last try that is still open; that literal's opposite must then
be true, and follows. The last mention of a variable is its value in the answer.

difficulty: how often the clauses halve the number of possible values, floor(log2(2**variables / solutions)).
Leakage, since a copy's answers are the first one's, renamed: the orders of clauses and of literals, the names of the
variables, and a variable and its opposite exchanged everywhere. There is no augmentation besides.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict, random_words
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.structure import Structures, isomorphic, keys
from dlmreason.tasks.subject import Form, Problem, Symmetries, check_answer, check_thought, content_key, in_rounds

CLAUSE, TRUE, FALSE, TRY, DEAD_END = "c", "T", "F", "?", "x"

THRESHOLD = 4.8
"""Clauses for each variable at which half of all formulas of 5 to 12 variables can be satisfied; 4.27 for very many."""

LONGEST_PROMPT = 100_000
"""Characters of a person's prompt."""

ROUNDS = 8
"""Draws after which fewer problems than asked for are handed out: formulas that can be satisfied are too rare."""

SPELLINGS = str.maketrans(dict.fromkeys("~!¬−", "-") | dict.fromkeys(";&∧\n", ",") | dict.fromkeys("()|∨+", " "))  # noqa: RUF001


class Search(NamedTuple):
    """What a search writes, and the values [variables] that it finds; none where no values satisfy."""

    words: list[str]
    values: list[bool]


class Satisfiability:
    """Formulas of `clauses` clauses over `variables` variables; clauses=None: 4.8 for each variable."""

    version = 1
    symmetries = Symmetries(
        leakage=(
            "another order of the clauses",
            "another order of a clause's literals",
            "other names of the variables",
            "a variable and its opposite exchanged everywhere",
        )
    )

    def __init__(self, *, variables: int = 5, clauses: int | None = None) -> None:
        if type(variables) is not int or not 4 <= variables <= 12:
            raise ValueError(
                f"task.subject.variables={variables} must be from 4 to 12: all their values are looked at one by one"
            )
        most = 7 * math.comb(variables, 3)
        if clauses is not None and (type(clauses) is not int or not 1 <= clauses <= most):
            raise ValueError(
                f"task.subject.clauses={clauses} must be from 1 to {most}: no more of the clauses over {variables} "
                f"variables can be true at once; null takes {THRESHOLD} for each variable"
            )
        self.variables = variables
        self.clauses = round(THRESHOLD * variables) if clauses is None else clauses
        self.name = f"satisfiability_{self.variables}x{self.clauses}"
        self.parameters: Mapping[str, str | int] = {"variables": self.variables, "clauses": self.clauses}
        self._literals = [f"{sign}{variable}" for variable in range(1, variables + 1) for sign in ("", "-")]
        self._ids = {literal: id for id, literal in enumerate(self._literals)}  # 2v, and 2v + 1 for its opposite
        self._every, self._breaks = every_clause(variables)
        self.form = Form(
            symbols=(CLAUSE, TRUE, FALSE),
            prompt=self.clauses,
            thought=longest_thought(variables),
            answer=variables,
            ends=False,
            thought_symbols=(*self._literals, TRY, DEAD_END),
            feature_sizes=(2 * variables + 1,) * 3,
            lay=self._lay,
            steps=Steps(
                r"\? \S+", tuple(zip(self._literals[::2], self._literals[1::2], strict=True)), guesses=(TRY,), longest=1
            ),
        )

    def draw(self, seed: int, count: int) -> list[Problem]:
        """Formulas are left out where they cannot be satisfied, and where the search takes longer than a thought."""

        def draw(attempt: int, missing: int) -> list[Problem]:
            return self._draw(content_key(f"{self.name}/{seed}/{attempt}"), 2 * missing + 16)

        return in_rounds(draw, count, ROUNDS)

    def _draw(self, seed: int, count: int) -> list[Problem]:
        words = random_words(seed, count, len(self._every))
        chosen = np.argpartition(words, self.clauses - 1, axis=1)[:, : self.clauses]
        order = np.argsort(np.take_along_axis(words, chosen, axis=1), axis=1)
        chosen = np.take_along_axis(chosen, order, axis=1)  # those with the lowest words, from the lowest on
        solutions = self._solutions(chosen)
        problems = []
        for row in np.flatnonzero(solutions):
            clauses = self._every[chosen[row]].tolist()
            search = self._search(clauses)
            if len(search.words) <= self.form.thought:
                thought, answer = " ".join(search.words), _answer(search.values)
                problems.append(Problem(self._prompt(clauses), thought, answer, self._difficulty(int(solutions[row]))))
        return problems

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """A person's formula: "1 -2 3, ...", "(x1 | ~x2 | x3) & ...", a clause a line, or DIMACS; "TFT" is an answer.

        Raises: PuzzleError for what is no such formula, one with too many clauses, or one without a solution.
        """
        clauses = self._parse(prompt)
        index = {tuple(clause): place for place, clause in enumerate(self._every.tolist())}
        solutions = int(self._solutions(np.array([[index[clause] for clause in clauses]]))[0])
        if not solutions:
            raise PuzzleError("no values of the variables make every clause true")
        check_thought(self.form, thought)
        found = Problem(self._prompt(clauses), thought, _spelled(answer), self._difficulty(solutions))
        if found.answer:
            check_answer(self, found, found.answer)
            return found
        search = self._search(clauses)
        made = " ".join(search.words) if len(search.words) <= self.form.thought else ""
        return found._replace(thought=thought or made, answer=_answer(search.values))

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return keys(self._structures(prompts)).tolist() if prompts else []

    def same(self, first: str, second: str) -> bool:
        return isomorphic(self._structures([first, second]))

    def judge(self, problem: Problem, answer: str) -> Verdict:
        if len(answer) > 20 * self.variables:
            return Verdict(False, f"{self.variables} values expected, got a text of {len(answer)} characters")
        values = answer.split(" ")
        if len(values) != self.variables:
            return Verdict(False, f"{self.variables} values expected, got {len(values) if answer else 0}")
        for place, value in enumerate(values, start=1):
            if value not in (TRUE, FALSE):
                return Verdict(False, f"{value[:20]!r} at place {place} is neither {TRUE} nor {FALSE}")
        for place, clause in enumerate(self._clauses(problem.prompt), start=1):
            if all((values[literal >> 1] == TRUE) == (literal & 1) for literal in clause):
                return Verdict(False, f"clause {place}, {self._prompt([clause])}, is false")
        return Verdict(True, "")

    def _prompt(self, clauses: Sequence[Sequence[int]]) -> str:
        names = self._literals
        return " , ".join([f"{names[first]} {names[second]} {names[third]}" for first, second, third in clauses])

    def _clauses(self, prompt: str) -> list[list[int]]:
        """Literal ids of a prompt that was drawn or checked."""
        return [[self._ids[literal] for literal in clause.split(" ")] for clause in prompt.split(" , ")]

    def _parse(self, prompt: str) -> list[tuple[int, ...]]:
        if len(prompt) > LONGEST_PROMPT:
            raise PuzzleError(f"the prompt has {len(prompt)} characters, and {LONGEST_PROMPT} are too many")
        lines = [line for line in prompt.splitlines() if not line.lstrip().startswith(("c ", "p cnf"))]  # of DIMACS
        text = re.sub(r"\b[xX](?=[0-9])", "", "\n".join(lines).translate(SPELLINGS).replace("- ", "-"))
        symbols = text.replace(",", " , ").split()
        if "0" in symbols:  # it ends a clause, and line ends do not
            symbols = ["," if symbol == "0" else symbol for symbol in symbols if symbol != ","]
        groups = [list(group) for ends, group in itertools.groupby(symbols, lambda symbol: symbol == ",") if not ends]
        if not 1 <= len(groups) <= self.clauses:
            raise PuzzleError(f"1 to {self.clauses} clauses expected, got {len(groups)}")
        seen: dict[tuple[int, ...], int] = {}
        for place, group in enumerate(groups, start=1):
            if len(group) != 3:
                raise PuzzleError(f"clause {place} has {len(group)} literals where 3 are expected")
            for symbol in group:
                if symbol not in self._ids:
                    raise PuzzleError(
                        f"clause {place}: {symbol[:20]!r} is not a variable from 1 to {self.variables} or its opposite"
                    )
            clause = tuple(sorted(self._ids[symbol] for symbol in group))
            if len({literal >> 1 for literal in clause}) < 3:
                raise PuzzleError(f"clause {place} names a variable twice")
            if clause in seen:
                raise PuzzleError(f"clause {place} repeats clause {seen[clause]}")
            seen[clause] = place
        return list(seen)

    def _structures(self, prompts: Sequence[str]) -> Structures:
        """Literals are vertices; clauses are sets of them, and so are a variable and its opposite."""
        literals = 2 * self.variables
        clauses = np.full((len(prompts), max(prompt.count(",") + 1 for prompt in prompts), 3), literals)
        for row, prompt in enumerate(prompts):
            found = self._clauses(prompt)
            clauses[row, : len(found)] = found
        opposites = np.broadcast_to(np.arange(literals).reshape(-1, 2), (len(prompts), self.variables, 2))
        return Structures(np.zeros((len(prompts), literals), np.uint64), (clauses, opposites))

    def _lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        clauses = self._clauses(prompt)
        features = np.zeros((len(clauses), 4), np.int64)
        features[:, 1:] = np.array(clauses) + 1
        return " ".join([CLAUSE] * len(clauses)), features

    def _solutions(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """[N] how many values satisfy formulas [N, clauses] of indices of `every_clause`."""
        broken = np.zeros((len(chosen), self._breaks.shape[1]), np.uint64)
        for place in range(chosen.shape[1]):
            broken |= self._breaks[chosen[:, place]]
        return 2**self.variables - np.bitwise_count(broken).sum(axis=1, dtype=np.int64)

    def _difficulty(self, solutions: int) -> int:
        return (2**self.variables // solutions).bit_length() - 1

    def _search(self, clauses: Sequence[Sequence[int]]) -> Search:
        """Unit propagation, lowest variable first; where nothing is forced, the lowest free variable is tried as true.

        Sets of clauses are the bits of whole numbers.
        """
        holds = [0] * (2 * self.variables)  # [literal] the clauses that have it
        for place, clause in enumerate(clauses):
            for literal in clause:
                holds[literal] |= 1 << place
        words: list[str] = []
        tries: list[tuple[int, int, list[int], int]] = []
        values = [False] * self.variables
        free = list(range(self.variables))
        once = twice = 0  # clauses with one false literal or more; with two or more
        while free:
            forced = _forced(holds, free, twice)
            literal = 2 * free[0] if forced is None else forced
            if forced is None:
                tries.append((once, twice, free, literal))
                words.append(TRY)
            words.append(self._literals[literal])
            while twice & holds[literal ^ 1]:
                words.append(DEAD_END)
                if not tries:
                    return Search(words, [])
                once, twice, free, literal = tries.pop()
                literal ^= 1
                words.append(self._literals[literal])
            twice |= once & holds[literal ^ 1]
            once |= holds[literal ^ 1]
            values[literal >> 1] = not literal & 1
            free = [variable for variable in free if variable != literal >> 1]
        return Search(words, values)


def longest_thought(variables: int) -> int:
    """Symbols; near the threshold 1 search in 3,000 is longer (1 in 1,500 for 12 variables), and is left out."""
    return variables**2 + 15


def _forced(holds: Sequence[int], free: Sequence[int], twice: int) -> int | None:
    """The literal of the lowest free variable that stands in a clause beside two false ones."""
    if twice:
        for variable in free:
            if twice & holds[2 * variable]:
                return 2 * variable
            if twice & holds[2 * variable + 1]:
                return 2 * variable + 1
    return None


def every_clause(variables: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The clauses over so many variables, [C, 3] sorted literals, and the values that break each, [C, words] bits.

    Bit a stands for the values that are the binary digits of a.
    """
    triples = np.array(list(itertools.combinations(range(variables), 3)))
    signs = np.array(list(itertools.product((0, 1), repeat=3)))
    clauses = (2 * triples[:, None] + signs).reshape(-1, 3)
    digits = (np.arange(max(2**variables, 64))[:, None] >> np.arange(variables)) & 1
    broken = (digits[:, clauses >> 1] == (clauses & 1)).all(axis=2)
    broken[2**variables :] = False
    return clauses, np.packbits(broken.T, axis=1).view(np.uint64)


def _spelled(answer: str) -> str:
    """A person's answer as the judge reads it."""
    return " ".join("".join(answer.split()).upper())


def _answer(values: Sequence[bool]) -> str:
    return " ".join(TRUE if value else FALSE for value in values)
