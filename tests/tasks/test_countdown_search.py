"""Countdown's searches: which solution is first, and what a search that is written down says."""

import random
import re
from fractions import Fraction
from functools import cache
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest

from dlmreason.tasks.countdown import Countdown
from dlmreason.tasks.countdown_search import first_solutions, solution, steps_at
from dlmreason.tasks.example import PuzzleError
from dlmreason.tasks.subject import Problem
from tests.tasks import laws

SEARCHES = [
    Countdown(numbers=3, thought="search"),
    Countdown(numbers=4, thought="search"),
    Countdown(numbers=4, thought="search", breadth=3, all_numbers=True),
    Countdown(numbers=5, thought="search", all_numbers=True),
    Countdown(numbers=4, largest=13, target=(24, 24), all_numbers=True, thought="search"),
]
EQUATION = re.compile(r"(\d+)([-+*/])(\d+)=(\d+)", re.ASCII)


def named(subjects):
    return pytest.mark.parametrize("subject", subjects, ids=lambda subject: subject.name)


def parts(prompt):
    *numbers, target = map(int, prompt.split(","))
    return numbers, target


def value(a, sign, b):
    """Of two whole numbers; None for what is no natural number and not 0."""
    if sign == "/":
        found = Fraction(a, b) if b else Fraction(-1)
    else:
        found = Fraction({"+": a + b, "-": a - b, "*": a * b}[sign])
    return int(found) if found >= 0 and found.denominator == 1 else None


def promising(state, subject, target):
    """The sets of numbers that the best steps leave, best first: mean distance, then the order + * - / of pairs."""
    ranked = {}
    for i, j in combinations(range(len(state)), 2):
        high, low = max(state[i], state[j]), min(state[i], state[j])
        for sign in "+*-/":
            result = value(high, sign, low)
            if result is not None and result <= subject.target[1] * subject.largest:
                left = [number for place, number in enumerate(state) if place not in (i, j)] + [result]
                mean = Fraction(sum(abs(number - target) for number in left), len(left))
                ranked.setdefault((tuple(sorted(left)), result == target), (mean, len(ranked)))
    return [left for left, _ in sorted(ranked, key=ranked.get)[: subject.breadth]]


def tree(thought, numbers):
    """The states of a search, each [numbers, tried states, taken back], and the equations not taken back."""
    root = [numbers, [], False]
    way, kept = [root], []
    for part in re.findall(r"[^,<]+|<", thought):
        if part == "<":
            way.pop()[2] = True
            kept.pop()
            continue
        a, sign, b, result = EQUATION.fullmatch(part).groups()
        assert value(int(a), sign, int(b)) == int(result), part
        left = list(way[-1][0])
        left.remove(int(a))
        left.remove(int(b))
        state = [[*left, int(result)], [], False]
        way[-1][1].append(state)
        way.append(state)
        kept.append(part)
    return root, kept


def search_is_true(subject):
    """Every state taken back has had all its promising steps tried, in order, in vain. On the way to the answer the
    last step alone may be another one. Nothing meets the target before the end."""

    def solved(state, target):
        return state[-1] == target and (len(state) == 1 or not subject.all_numbers)

    def dead(state, target):
        numbers, tried, back = state
        assert back and not solved(numbers, target)
        if len(numbers) > 1:
            assert [tuple(sorted(each[0])) for each in tried] == promising(numbers, subject, target)
        for each in tried:
            dead(each, target)

    def check(problem):
        numbers, target = parts(problem.prompt)
        state, kept = tree(problem.thought, numbers)
        while state[1]:
            *failed, right = state[1]
            lefts = [tuple(sorted(each[0])) for each in state[1]]
            best = promising(state[0], subject, target)
            assert lefts == best[: len(lefts)] or (lefts[:-1] == best[: len(lefts) - 1] and len(lefts) == len(best))
            assert not right[2]
            for each in failed:
                dead(each, target)
            state = right
        return solved(state[0], target) and ",".join(kept) == problem.answer

    return check


@pytest.mark.parametrize("count", laws.GOLD)
@named(SEARCHES)
def test_searches_are_true_and_end_in_the_answer(subject, count):
    laws.gold_holds(subject, count, search_is_true(subject))


@pytest.mark.parametrize("breadth", [1, 2, 3])
@pytest.mark.parametrize("all_numbers", [True, False])
def test_every_search_of_a_tiny_world(breadth, all_numbers):
    subject = Countdown(
        numbers=3, largest=5, target=(1, 30), thought="search", all_numbers=all_numbers, breadth=breadth
    )
    check, asked, dead = search_is_true(subject), 0, 0
    for hand in product(range(1, 6), repeat=3):
        for target in range(1, 31):
            try:
                problem = subject.problem(",".join(map(str, (*hand, target))))
            except PuzzleError:
                continue
            assert check(problem) and len(problem.thought) <= subject.form.thought
            asked, dead = asked + 1, dead + problem.thought.count("<")
    assert asked > 1000
    assert dead > 500 if breadth > 1 else dead == 0


def test_the_most_promising_step_is_tried_first_right_or_not():
    subject, right = SEARCHES[1], 0
    for problem in laws.drawn(subject, 300):
        numbers, target = parts(problem.prompt)
        root, _ = tree(problem.thought, numbers)
        assert tuple(sorted(root[1][0][0])) == promising(numbers, subject, target)[0]
        right += not root[1][0][2]
    assert 30 < right < 270


def test_a_search_spelled_out():
    """33+39, 33+16 and 39+16 bring the numbers equally near to 96; 39-33, which is right, stands for 33+16."""
    thought = "33+39=72,16+72=88<72-16=56<<39-33=6,16*6=96"
    problem = SEARCHES[0].problem("33,39,16,96")
    assert problem == Problem("33,39,16,96", thought, "39-33=6,16*6=96", 9)


def test_a_search_that_meets_another_solution_is_not_given_for_an_answer():
    subject, given = SEARCHES[0], [0, 0]
    for problem in laws.drawn(subject, 200):
        answer = ",".join(plainly(*parts(problem.prompt)))
        asked = subject.problem(problem.prompt, "", answer)
        assert asked.answer == answer
        assert asked.thought == (problem.thought if answer == problem.answer else "")
        given[bool(asked.thought)] += 1
    assert min(given) > 20


# --- the plain search


def plainly(state, target):
    """The first solution of a depth-first search, spelled out."""
    if len(state) == 1:
        return [] if state[0] == target else None
    for i, j in combinations(range(len(state)), 2):
        for sign in "+*-/":
            a, b = state[i], state[j]
            if sign in "-/" and a < b:
                a, b = b, a
            result = value(a, sign, b)
            if result is not None:
                rest = plainly([*state[:i], *state[i + 1 : j], *state[j + 1 :], result], target)
                if rest is not None:
                    return [f"{a}{sign}{b}={result}", *rest]
    return None


def answers(numbers, target):
    """By `solution`, and by arrays, which must agree."""
    place, steps = solution(numbers, target)
    other = int(first_solutions(np.array([numbers]), np.array([target]))[0])
    assert place == other
    return [str(step) for step in steps] if place >= 0 else None


@pytest.mark.parametrize(("numbers", "largest", "count"), [(2, 99, 300), (3, 99, 300), (4, 99, 40), (5, 99, 10)])
def test_the_first_solution_is_that_of_a_plain_search(numbers, largest, count):
    source, found = random.Random(numbers), 0
    for case in range(count):
        hand = tuple(source.randrange(case % 2, largest + 1) for _ in range(numbers))
        target = sum(hand) if case % 8 == 1 else source.randrange(1, 2 * largest)
        expected = plainly(list(hand), target)
        assert answers(hand, target) == expected, (hand, target)
        found += expected is not None
    assert count // 10 < found < count


@pytest.mark.parametrize("numbers", [2, 3, 4, 5, 6])
def test_large_numbers_are_exact(numbers):
    """Solutions through the largest numbers that are allowed are found, or others that are as true."""
    largest, source = int((2**50) ** (1 / numbers)), random.Random(1)
    hands, targets = [], []
    for _ in range(40):
        hand = [source.randrange(largest - 9, largest + 1) for _ in range(numbers)]
        up = np.prod(hand[:-1], dtype=object)
        hands.append(tuple(hand))
        targets.append(up + hand[-1] if source.random() < 0.5 else up // hand[-1] + 1)
    places = first_solutions(np.array(hands), np.array(targets, np.int64))
    for hand, target, place in zip(hands, targets, places.tolist(), strict=True):
        if place >= 0:
            steps = steps_at(hand, place)
            assert steps[-1].result == target
            assert all(value(step.a, step.sign, step.b) == step.result for step in steps)
        assert place >= 0 or target != np.prod(hand[:-1], dtype=object) + hand[-1]
    assert (places >= 0).sum() > 5


@cache
def reached(numbers, whole):
    """What can be made of a sorted tuple of numbers, each used once; whole: by natural numbers and 0 alone."""
    if len(numbers) == 1:
        return frozenset([Fraction(numbers[0])])
    pairs = [pair for one, other in split(numbers) for pair in product(reached(one, whole), reached(other, whole))]
    found = {made for a, b in pairs for made in (a + b, a * b, a - b, b - a)}
    found |= {a / b for pair in pairs for a, b in (pair, pair[::-1]) if b}
    return frozenset(made for made in found if not whole or (made >= 0 and made.denominator == 1))


def split(numbers):
    for size in range(1, len(numbers) // 2 + 1):
        for places in combinations(range(len(numbers)), size):
            chosen = tuple(numbers[place] for place in places)
            yield chosen, tuple(number for place, number in enumerate(numbers) if place not in places)


def makes_24(hand, whole):
    """Whether two parts of the hand reach two numbers that 24 is made of."""
    for one, other in split(hand):
        for a in reached(one, whole):
            partners = {24 - a, 24 + a, a - 24} | ({24 * a, 24 / a, a / 24} if a else set())
            if partners & reached(other, whole):
                return True
    return False


def test_the_game_of_24_has_all_hands_that_need_no_fractions():
    """1,362 of 1,820 hands can be solved, as is well known; 16 of these by fractions alone, and not one by negative
    numbers alone."""
    hands = list(combinations_with_replacement(range(1, 14), 4))
    solved = {hand for hand in hands if makes_24(hand, whole=False)}
    easy = {hand for hand in hands if makes_24(hand, whole=True)}
    assert (len(hands), len(solved), len(easy)) == (1820, 1362, 1346)
    assert {hand for hand in hands if solution(hand, 24)[0] >= 0} == easy
    assert {(3, 3, 8, 8), (1, 5, 5, 5), (1, 3, 4, 6)} <= solved - easy
    with pytest.raises(PuzzleError, match="24 cannot be reached with 3, 3, 8, 8 by natural numbers alone"):
        SEARCHES[-1].problem("3 3 8 8")
