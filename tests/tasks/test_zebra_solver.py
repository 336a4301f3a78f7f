import itertools
from collections import Counter

import pytest
from pysat.solvers import Solver
from scipy.stats import chisquare

from dlmreason.tasks.zebra_solver import KINDS
from tests.tasks import laws
from tests.tasks.test_zebra import LARGE, MEANING, SMALL, STANDARD, clues_of, houses_of, values_of


class Satisfiability:
    """A prompt as a formula: variable (value, house) for `value` lives there; each clue can be switched off."""

    def __init__(self, subject, prompt):
        houses, values = range(1, subject.houses + 1), values_of(subject)
        number = itertools.count(1)
        self.lives = {pair: next(number) for pair in itertools.product(values, houses)}
        self.switches = []
        self.solver = Solver("cadical153")
        for value in values:
            self.solver.add_clause([self.lives[value, house] for house in houses])
        for house, (one, other) in itertools.product(houses, itertools.combinations(values, 2)):
            if one[0] == other[0]:
                self.solver.add_clause([-self.lives[one, house], -self.lives[other, house]])
        for first, kind, second in clues_of(prompt):
            self.switches.append(switch := next(number))
            for one, other in itertools.product(houses, houses):
                if kind == "at" and not MEANING[kind](one, int(second)):
                    self.solver.add_clause([-switch, -self.lives[first, one]])
                elif kind != "at" and not MEANING[kind](one, other):
                    self.solver.add_clause([-switch, -self.lives[first, one], -self.lives[second, other]])

    def house(self, without=None):
        """The house of each value in some grid that all clues, less one, allow; None: there is none."""
        if not self.solver.solve(assumptions=[switch for switch in self.switches if switch != without]):
            return None
        model = set(self.solver.get_model())
        return {value: house for (value, house), variable in self.lives.items() if variable in model}

    def forbid(self, house):
        self.solver.add_clause([-self.lives[pair] for pair in house.items()])


@pytest.mark.parametrize(
    ("subject", "count"),
    [
        (SMALL, 150),
        (STANDARD, 150),
        (LARGE, 25),
        pytest.param(SMALL, 10_000, marks=pytest.mark.slow),
        pytest.param(STANDARD, 10_000, marks=pytest.mark.slow),
        pytest.param(LARGE, 2_000, marks=pytest.mark.slow),
    ],
    ids=lambda each: getattr(each, "name", str(each)),
)
def test_one_grid_satisfies_the_clues_and_no_clue_can_go(subject, count):
    for problem in laws.drawn(subject, count, seed=23):
        formula = Satisfiability(subject, problem.prompt)
        right = houses_of(subject, problem.answer)
        assert formula.house() == right
        formula.forbid(right)
        assert formula.house() is None
        assert all(formula.house(without=switch) is not None for switch in formula.switches)


def test_everything_is_as_likely_to_be_anywhere():
    """The search that finds clues prefers some categories and one side; puzzles do not."""
    problems = laws.drawn(SMALL, 2_000, seed=40)
    for place in range(9):
        counts = Counter(problem.answer.split(" ")[place] for problem in problems)
        assert chisquare([*counts.values()]).pvalue > 1e-4 and len(counts) == 3
    clues = [clue for problem in problems for clue in clues_of(problem.prompt)]
    for kind in KINDS:
        for end in (0, 2):
            categories = Counter(clue[end][0] for clue in clues if clue[1] == kind and clue[end][0] in "abc")
            assert len(categories) in (0, 3) and (not categories or chisquare([*categories.values()]).pvalue > 1e-4)
    at = Counter(second for _, kind, second in clues if kind == "at")
    assert chisquare([at["1"], at["3"]]).pvalue > 1e-4
