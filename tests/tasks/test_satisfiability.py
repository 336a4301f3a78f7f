import functools
import itertools
import pickle
import random
import re

import numpy as np
import pytest
from pysat.solvers import Solver

from dlmreason.tasks.example import PuzzleError
from dlmreason.tasks.satisfiability import Satisfiability
from dlmreason.tasks.subject import Problem
from tests.tasks import laws

FIVE, SEVEN, NINE = (Satisfiability(variables=variables) for variables in (5, 7, 9))
SMALL = Satisfiability(variables=4, clauses=5)
BY_NAME = pytest.mark.parametrize("subject", [FIVE, SEVEN, NINE], ids=lambda subject: subject.name)


def clauses_of(prompt):
    return [[int(literal) for literal in clause.split()] for clause in prompt.split(",")]


def satisfies(subject):
    """Another judge: python-sat, the answer being assumed."""

    def judge(prompt, answer):
        if not re.fullmatch(rf"[TF]( [TF]){{{subject.variables - 1}}}", answer):
            return False
        values = answer.split(" ")
        literals = [place if value == "T" else -place for place, value in enumerate(values, start=1)]
        with Solver(name="minisat22", bootstrap_with=clauses_of(prompt)) as fresh:
            return fresh.solve(assumptions=literals)

    return judge


def one_wrong(problem, source):
    values = problem.answer.split(" ")
    place = source.randrange(len(values))
    values[place] = source.choice(["T", "F", "T", "F", "c", ""])
    if source.random() < 0.1:
        values = values[:place]
    return source.choice([" ", " ", " ", " ", "  "]).join(values)


def follows(problem):
    """Replays a thought against the clauses: what is forced is, what is tried is not, dead ends are dead."""
    clauses = clauses_of(problem.prompt)
    trail, open_tries, words = [], [], iter(problem.thought.split(" "))
    for word in words:
        units = {
            left[0]
            for clause in clauses
            if not set(clause) & set(trail)
            and len(left := [literal for literal in clause if -literal not in trail]) == 1
        }
        dead = any(all(-literal in trail for literal in clause) for clause in clauses)
        assert (word == "x") == dead
        if word == "x":
            place = open_tries.pop()
            opposite = -trail[place]
            del trail[place:]
            assert int(next(words)) == opposite
            trail.append(opposite)
            continue
        assert (word == "?") == (not units)
        if word == "?":
            open_tries.append(len(trail))
            literal = int(next(words))
        else:
            literal = int(word)
            assert literal in units
        assert literal not in trail and -literal not in trail
        trail.append(literal)
    last = {literal.lstrip("-"): literal for literal in problem.thought.split(" ") if literal not in "?x"}
    values = ["F" if last[str(variable)].startswith("-") else "T" for variable in range(1, len(trail) + 1)]
    return " ".join(values) == problem.answer and sorted(map(abs, trail)) == [*range(1, len(values) + 1)]


def copied(prompt, source):
    """Clauses, literals and names in another order, some variables exchanged with their opposites."""
    clauses = clauses_of(prompt)
    variables = max(abs(literal) for clause in clauses for literal in clause)
    new = [name * source.choice((1, -1)) for name in source.sample(range(1, variables + 1), variables)]
    clauses = [[new[abs(literal) - 1] * (1 if literal > 0 else -1) for literal in clause] for clause in clauses]
    clauses = [source.sample(clause, 3) for clause in source.sample(clauses, len(clauses))]
    return " , ".join(" ".join(map(str, clause)) for clause in clauses)


@functools.cache
def every_renaming(variables):
    """[renamings, clauses] where each clause comes from, and the index of each clause."""
    index = {
        frozenset(literals): place
        for place, literals in enumerate(
            tuple(name * sign for name, sign in zip(names, signs, strict=True))
            for names in itertools.combinations(range(1, variables + 1), 3)
            for signs in itertools.product((1, -1), repeat=3)
        )
    }
    table = []
    for names in itertools.permutations(range(1, variables + 1)):
        for signs in itertools.product((1, -1), repeat=variables):
            new = {sign * name: at for at, (name, sign) in enumerate(zip(names, signs, strict=True), start=1)}
            new |= {-literal: -at for literal, at in new.items()}
            table.append([index[frozenset(new[literal] for literal in clause)] for clause in index])
    return np.array(table), index


def are_copies(variables, first, second):
    """By brute force over all renamings and exchanges with opposites."""
    table, index = every_renaming(variables)
    has = np.zeros((2, len(index)), bool)
    for row, prompt in enumerate((first, second)):
        has[row, [index[frozenset(clause)] for clause in clauses_of(prompt)]] = True
    return bool((has[0][table] == has[1]).all(axis=1).any())


def one_flipped(prompt, source):
    """The formula with the sign of one literal changed."""
    clauses = clauses_of(prompt)
    place, column = source.randrange(len(clauses)), source.randrange(3)
    clauses[place][column] *= -1
    return (
        None if len({*map(frozenset, clauses)}) < len(clauses) else " , ".join(" ".join(map(str, c)) for c in clauses)
    )


@pytest.mark.parametrize("count", laws.GOLD)
@BY_NAME
def test_answers_are_right_and_thoughts_true(subject, count):
    laws.gold_holds(subject, count, follows)


@pytest.mark.parametrize("cases", laws.CASES)
@BY_NAME
def test_the_judge_agrees_with_python_sat(subject, cases):
    laws.judges_agree(subject, satisfies(subject), one_wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
def test_the_judge_never_raises(cases):
    laws.never_raises(FIVE, cases)


@pytest.mark.parametrize(
    "subject", [FIVE, pytest.param(SEVEN, marks=pytest.mark.slow), NINE], ids=lambda each: each.name
)
def test_copies_are_found(subject):
    laws.copies_are_found(subject, copied)


def test_near_formulas_are_copies_exactly_where_a_renaming_makes_them_so():
    """One sign changed; and small formulas of few clauses, where such a change often makes a copy."""
    source, few = random.Random(3), Satisfiability(variables=4, clauses=3)
    seen = {True: 0, False: 0}
    for subject, count in ((FIVE, 150), (few, 300)):
        for problem in laws.drawn(subject, count):
            near = one_flipped(problem.prompt, source)
            if near is None:
                continue
            verdict = are_copies(subject.variables, problem.prompt, near)
            assert subject.same(problem.prompt, near) == verdict, (problem.prompt, near)
            first, second = subject.keys([problem.prompt, near])
            assert first == second or not verdict
            seen[verdict] += 1
    assert min(seen.values()) > 20, seen


def test_near_formulas_are_not_flagged():
    def unrelated(problems):
        source = random.Random(5)
        pairs = [(problem.prompt, one_flipped(problem.prompt, source)) for problem in problems]
        return [pair for pair in pairs if pair[1] and not are_copies(5, *pair)]

    laws.copies_are_found(FIVE, copied, unrelated)


@BY_NAME
def test_difficulty_counts_the_solutions_that_python_sat_finds(subject):
    for problem in laws.drawn(subject, 100):
        clauses = clauses_of(problem.prompt)
        assert len(clauses) == len({frozenset(clause) for clause in clauses}) == subject.clauses
        assert all(len({abs(literal) for literal in clause}) == 3 for clause in clauses)
        free = [[variable, -variable] for variable in range(1, subject.variables + 1)]
        with Solver(name="minisat22", bootstrap_with=clauses + free) as fresh:
            solutions = sum(1 for _ in fresh.enum_models())
        assert solutions << problem.difficulty <= 2**subject.variables < solutions << (problem.difficulty + 1)


@BY_NAME
def test_half_of_all_formulas_can_be_satisfied(subject):
    """Within four standard errors and the rounding to whole clauses."""
    source, right = random.Random(7), 0
    every = [
        [name * sign for name, sign in zip(names, signs, strict=True)]
        for names in itertools.combinations(range(1, subject.variables + 1), 3)
        for signs in itertools.product((1, -1), repeat=3)
    ]
    for _ in range(600):
        with Solver(name="minisat22", bootstrap_with=source.sample(every, subject.clauses)) as fresh:
            right += fresh.solve()
    assert abs(right / 600 - 0.5) < 0.13


def test_every_clause_is_as_likely_as_any_other_at_every_place():
    problems = laws.drawn(Satisfiability(variables=4, clauses=3), 3_200)  # too few clauses to exclude each other
    for place in range(3):
        counts: dict[str, int] = {}
        for problem in problems:
            clause = problem.prompt.split(" , ")[place]
            counts[clause] = counts.get(clause, 0) + 1
        assert len(counts) == 32
        assert all(abs(count - 100) < 5 * 10 for count in counts.values()), counts


def test_worked_examples():
    asked = SMALL.problem("-1 -2 3 , -1 -2 -3 , 1 2 4")
    assert asked == Problem("-1 -2 3 , -1 -2 -3 , 1 2 4", "? 1 ? 2 3 x -2 ? 3 ? 4", "T F T T", 0)
    both_branches_fail = SMALL.problem("-1 -2 3 , -1 -2 -3 , -1 2 3 , -1 2 -3")
    assert both_branches_fail.thought == "? 1 ? 2 3 x -2 3 x -1 ? 2 ? 3 ? 4"
    assert both_branches_fail.answer == "F T T T"
    assert both_branches_fail.difficulty == 1
    text, features = SMALL.form.lay(asked.prompt)
    assert text == "c c c"
    assert features.tolist() == [[0, 2, 4, 5], [0, 2, 4, 6], [0, 1, 3, 7]]


@pytest.mark.parametrize(
    "text",
    [
        "-1 -2 3 , 1 2 4",
        "-1 -2 3, 1 2 4",
        "3 -1 -2\n4 2 1\n",
        "p cnf 4 2\nc a comment\n-1 -2\n3 0\n1 2 4 0\n",
        "(¬x1 ∨ ¬x2 ∨ x3) ∧ (x1 ∨ x2 ∨ x4)",  # noqa: RUF001
        "(~1 | !2 | 3) & (1 | 2 | +4)",
        "-x2 -x1 x3; x4 x2 x1",
    ],
)
def test_a_person_may_spell_a_formula_in_many_ways(text):
    asked = SMALL.problem(text)
    assert asked.prompt == "-1 -2 3 , 1 2 4"
    assert SMALL.judge(asked, asked.answer).correct


def test_a_persons_answer_and_thought_are_kept():
    prompt = "-1 -2 3 , 1 2 4"
    assert SMALL.problem(prompt, answer="tttf") == Problem(prompt, "", "T T T F", 0)
    assert SMALL.problem(prompt, thought="? 1 ? 4").thought == "? 1 ? 4"
    with pytest.raises(PuzzleError, match="the answer is wrong: clause 1, -1 -2 3, is false"):
        SMALL.problem(prompt, answer="T T F T")
    with pytest.raises(PuzzleError, match="the thought cannot be written: symbol 2 of the text is '5'"):
        SMALL.problem(prompt, thought="1 5")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 to 5 clauses expected, got 0"),
        ("1 2 3 , " * 6, "1 to 5 clauses expected, got 6"),
        ("1 2 , 2 3 4", "clause 1 has 2 literals where 3 are expected"),
        ("1 2 3 4", "clause 1 has 4 literals where 3 are expected"),
        ("1 2 3 , 1 2 5", "clause 2: '5' is not a variable from 1 to 4 or its opposite"),
        ("1 2 ３", "clause 1: '３' is not a variable"),  # noqa: RUF001
        ("1 2 --3", "clause 1: '--3' is not a variable"),
        ("1 2 __import__('os')", "clause 1 has "),
        ("1 2 -2", "clause 1 names a variable twice"),
        ("1 2 3 , 4 2 1 , 3 1 2", "clause 3 repeats clause 1"),
        ("1 " * 60_000, "the prompt has 120000 characters"),
    ],
)
def test_what_is_no_formula_is_refused(text, reason):
    with pytest.raises(PuzzleError) as refused:
        SMALL.problem(text)
    assert reason in refused.value.reason
    assert len(refused.value.reason) < 300


def test_a_formula_without_a_solution_is_refused():
    every_sign = " , ".join(
        " ".join(map(str, np.array([1, 2, 3]) * signs)) for signs in itertools.product((1, -1), repeat=3)
    )
    with pytest.raises(PuzzleError, match="no values of the variables make every clause true"):
        Satisfiability(variables=4).problem(every_sign)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "4 values expected, got 0"),
        ("T F T", "4 values expected, got 3"),
        ("T  F T", "'' at place 2 is neither T nor F"),
        ("T F T t", "'t' at place 4 is neither T nor F"),
        ("T F T <mask>", "'<mask>' at place 4 is neither T nor F"),
        ("T " * 100, "4 values expected, got a text of 200 characters"),
        ("T T T F", "clause 2, -1 -2 -3, is false"),
        ("F F T F", "clause 3, 1 2 4, is false"),
    ],
)
def test_the_judge_says_what_is_wrong(answer, reason):
    assert SMALL.judge(Problem("-1 -2 3 , -1 -2 -3 , 1 2 4", "", "", 0), answer) == (False, reason)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variables": 3}, "task.subject.variables=3 must be from 4 to 12"),
        ({"variables": 13}, "task.subject.variables=13 must be from 4 to 12"),
        ({"variables": True}, "task.subject.variables=True must be"),
        ({"variables": 4, "clauses": 0}, "task.subject.clauses=0 must be from 1 to 28"),
        ({"variables": 4, "clauses": 29}, "task.subject.clauses=29 must be from 1 to 28"),
        ({"clauses": 4.3}, "task.subject.clauses=4.3 must be from 1 to 70"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Satisfiability(**arguments)


def test_names_and_lengths():
    assert [subject.clauses for subject in (FIVE, SEVEN, NINE)] == [24, 34, 43]
    assert NINE.name == "satisfiability_9x43"
    assert dict(NINE.parameters) == {"variables": 9, "clauses": 43}
    assert NINE.form.feature_sizes == (19, 19, 19)
    again = pickle.loads(pickle.dumps(NINE))
    assert again.draw(1, 3) == NINE.draw(1, 3)
    assert FIVE.keys([]) == []
    assert FIVE.draw(1, 0) == []


def test_a_formula_that_can_never_be_satisfied_is_not_looked_for_for_ever():
    assert len(Satisfiability(variables=6, clauses=140).draw(0, 64)) == 0
