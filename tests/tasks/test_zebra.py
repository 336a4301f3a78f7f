import itertools
import random
import re

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.subject import Problem
from dlmreason.tasks.zebra import Zebra
from dlmreason.tasks.zebra_solver import KINDS
from tests.tasks import laws

SMALL, STANDARD, LARGE = Zebra(houses=3, categories=3), Zebra(), Zebra(houses=5, categories=5)
SMALLEST = Zebra(houses=3, categories=2)
SUBJECTS = [SMALL, STANDARD]
OTHERS = [
    LARGE,
    Zebra(houses=6, categories=2),
    Zebra(houses=3, categories=6),
    Zebra(houses=4, categories=3, kinds=("left",)),
    Zebra(houses=3, categories=3, kinds=("same", "at")),
]

MEANING = {
    "at": lambda first, second: first == second,
    "same": lambda first, second: first == second,
    "apart": lambda first, second: first != second,
    "next": lambda first, second: first in (second - 1, second + 1),
    "just_left": lambda first, second: second - first == 1,
    "left": lambda first, second: second > first,
}
SYMMETRIC = ("same", "apart", "next")

EXAMPLE = "c3 same a2 ; b1 at 1 ; a2 next b2 ; a2 just_left a1 ; c1 left a1"
GRID = "a3 b1 c1 a2 b3 c3 a1 b2 c2"
THOUGHT = f"b1@1 c2@3 ? a2@1 c3@1 b2@2 a1@2 c1@1 a3@3 b3@3 x a2@2 c3@2 b2@3 a1@3 a3@1 b3@2 c1@1 {GRID}"


def named(subjects):
    return pytest.mark.parametrize("subject", subjects, ids=lambda subject: subject.name)


def clues_of(prompt):
    return [tuple(clue.split()) for clue in prompt.split(" ; ")]


def values_of(subject):
    return [f"{letter}{number}" for letter in "abcdef"[: subject.categories] for number in range(1, subject.houses + 1)]


def houses_of(subject, answer):
    """The house of each value, or None for what is no grid."""
    values = answer.split(" ")
    if sorted(values) != sorted(values_of(subject)):
        return None
    if any(value[0] != "abcdef"[place % subject.categories] for place, value in enumerate(values)):
        return None
    return {value: place // subject.categories + 1 for place, value in enumerate(values)}


def is_right(subject, prompt, answer):
    house = houses_of(subject, answer)
    if house is None:
        return False
    return all(
        MEANING[kind](house[first], house[second] if second in house else int(second))
        for first, kind, second in clues_of(prompt)
    )


def text(clues):
    return " ; ".join(" ".join(clue) for clue in clues)


def closed(subject, clues, left):
    """What going through the clues leaves of the houses [value] that each value may have; None: a contradiction."""
    left, before = {value: set(houses) for value, houses in left.items()}, None
    categories = [[value for value in left if value[0] == letter] for letter in "abcdef"[: subject.categories]]
    while before != left:
        before = {value: set(houses) for value, houses in left.items()}
        for first, kind, second in clues:
            others = left.get(second, {int(second)} if kind == "at" else set())
            left[first] &= {one for one in left[first] if any(MEANING[kind](one, other) for other in others)}
            if second in left:
                ones = left[first]
                left[second] &= {other for other in left[second] if any(MEANING[kind](one, other) for one in ones)}
        for category in categories:
            for value, other in itertools.permutations(category, 2):
                if len(left[value]) == 1:
                    left[other] -= left[value]
            for house in range(1, subject.houses + 1):
                able = [value for value in category if house in left[value]]
                if len(able) == 1:
                    left[able[0]] &= {house}
                elif not able:
                    return None
        if not all(left.values()):
            return None
    return left


def thought_is_true(subject):
    """Whether each part of a thought, up to a ? or x, says all that follows and was not known, and nothing else."""

    def true(problem):
        *words, _ = problem.thought.removesuffix(problem.answer).split(" ")
        clues = clues_of(problem.prompt)
        if not problem.thought.endswith(problem.answer) or words.count("?") != problem.difficulty:
            return False
        left = known = {value: set(range(1, subject.houses + 1)) for value in values_of(subject)}
        tries = []
        for part, end in re.findall(r"([^?x]*)([?x]|$)", " ".join(words))[:-1]:
            said = [(word[:2], int(word[3:])) for word in part.split()]
            if left is None:  # a try begins: it is of a value with the fewest houses, and of the first one
                value, house = said[0]
                fewest = min(len(houses) for houses in known.values() if len(houses) > 1)
                if len(known[value]) != fewest or house != min(known[value]):
                    return False
                tries.append((known, value, house))
                left = {**known, value: {house}}
            found = closed(subject, clues, left)
            if end == "x":
                if found is not None or any(house not in left[value] for value, house in said):
                    return False
                known, value, house = tries.pop()
                left = {**known, value: known[value] - {house}}
            else:
                if found is None:
                    return False
                new = [(value, *houses) for value, houses in found.items() if len(houses) == 1 < len(known[value])]
                if sorted(said) != sorted(new):
                    return False
                known, left = found, None
        return " ".join(sorted(known, key=lambda value: (*known[value], value))) == problem.answer

    return true


@pytest.mark.parametrize("count", laws.GOLD)
@named(SUBJECTS)
def test_answers_are_right_and_thoughts_true(subject, count):
    laws.gold_holds(subject, count, thought_is_true(subject))


@named(OTHERS)
def test_other_sizes_and_kinds_too(subject):
    laws.gold_holds(subject, 40, thought_is_true(subject))
    assert {clue.split(" ")[1] for each in laws.drawn(subject, 40) for clue in each.prompt.split(" ; ")} == {
        *subject.kinds
    }


@pytest.mark.parametrize("change", ["word", "missing", "try", "grid"])
def test_a_false_thought_is_told(change):
    true = thought_is_true(SMALL)
    problem = SMALL.problem(EXAMPLE)
    assert true(problem)
    changed = {
        "word": THOUGHT.replace("c3@2", "c3@3"),
        "missing": THOUGHT.replace("c2@3 ", "", 1),
        "try": THOUGHT.replace("? a2@1", "? a3@1"),
        "grid": THOUGHT.replace(GRID, "a3 b1 c1 a2 b3 c2 a1 b2 c3"),
    }
    assert changed[change] != THOUGHT
    assert not true(problem._replace(thought=changed[change]))


@pytest.mark.parametrize("cases", laws.CASES)
@named(SUBJECTS)
def test_judges_agree(subject, cases):
    def wrong(problem, source):
        values = problem.answer.split(" ")
        one, other = source.sample(range(len(values)), 2)
        if source.random() < 0.5:  # two values of a category change places
            other = (one + subject.categories * source.randrange(1, subject.houses)) % len(values)
        values[one], values[other] = values[other], values[one]
        if source.random() < 0.2:
            values[one] = source.choice([*values_of(subject), "a0", "A1", "1", "a１", ""])  # noqa: RUF001
        return source.choice([" "] * 20 + ["  ", "\t"]).join(values)

    laws.judges_agree(subject, lambda prompt, answer: is_right(subject, prompt, answer), wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
@named(SUBJECTS)
def test_any_answer_gets_a_verdict(subject, cases):
    laws.never_raises(subject, cases)


def copied(subject):
    def copy(prompt, source):
        letters = source.sample("abcdef"[: subject.categories], subject.categories)
        numbers = [source.sample(range(1, subject.houses + 1), subject.houses) for _ in letters]
        names = {
            value: f"{letters[place]}{numbers[place][int(value[1:]) - 1]}"
            for value in values_of(subject)
            for place in ["abcdef".index(value[0])]
        }
        mirror, clues = source.random() < 0.5, []
        for first, kind, second in clues_of(prompt):
            if kind == "at":
                clues.append((names[first], kind, str(subject.houses + 1 - int(second)) if mirror else second))
                continue
            swap = source.random() < 0.5 if kind in SYMMETRIC else mirror
            pair = (second, first) if swap else (first, second)
            clues.append((names[pair[0]], kind, names[pair[1]]))
        source.shuffle(clues)
        return text(clues)

    return copy


def picture(clues, mirror, houses):
    """A graph that is the same for copies: values, categories, houses, and a vertex for each clue."""
    graph = nx.DiGraph()
    for place, (first, kind, second) in enumerate(clues):
        clue = ("clue", place)
        graph.add_node(clue, label=kind)
        for end in (first, second):
            if end[0].isalpha():
                graph.add_node(end, label="value")
                graph.add_node(end[0], label="category")
                graph.add_edge(end, end[0])
        if kind == "at":
            house = str(houses + 1 - int(second)) if mirror else second
            graph.add_node(house, label=house)
            graph.add_edges_from([(first, clue), (clue, house)])
        elif kind in SYMMETRIC:
            graph.add_edges_from([(first, clue), (second, clue)])
        else:
            graph.add_edges_from([(second, clue), (clue, first)] if mirror else [(first, clue), (clue, second)])
    return graph


def are_copies(subject, first, second):
    plain, *others = (
        picture(clues_of(prompt), mirror, subject.houses)
        for prompt, mirror in ((first, False), (second, False), (second, True))
    )
    return any(nx.is_isomorphic(plain, other, lambda one, two: one["label"] == two["label"]) for other in others)


@named([SMALL, STANDARD, pytest.param(LARGE, marks=pytest.mark.slow)])
def test_copies_are_found(subject):
    def near(problems):
        """Puzzles in which one clue is another: of another kind, or of another value."""
        pairs, source = [], random.Random(3)
        for problem in problems[:240]:
            clues = clues_of(problem.prompt)
            place = source.randrange(len(clues))
            first, kind, second = clues[place]
            kind, second = source.choice(
                [*((other, second) for other in KINDS), *((kind, other) for other in (first[0] + "1", "b2", "2"))]
            )
            try:
                changed = subject.problem(text([*clues[:place], (first, kind, second), *clues[place + 1 :]]))
            except PuzzleError:
                continue
            if not are_copies(subject, problem.prompt, changed.prompt):
                pairs.append((problem.prompt, changed.prompt))
        assert len(pairs) > 10
        return pairs

    laws.copies_are_found(subject, copied(subject), near)


@pytest.mark.slow
def test_copies_among_many_drawn_are_those_that_graphs_are():
    """Puzzles of 3 houses repeat; keys and `same` tell which ones do."""
    problems = laws.drawn(SMALLEST, 300)
    prompts = [problem.prompt for problem in problems]
    kinds = [sorted(kind for _, kind, _ in clues_of(prompt)) for prompt in prompts]
    keys, equal = SMALLEST.keys(prompts), 0
    for first, second in itertools.combinations(range(len(prompts)), 2):
        if keys[first] == keys[second] or kinds[first] == kinds[second]:
            expected = are_copies(SMALLEST, prompts[first], prompts[second])
            assert (keys[first] == keys[second]) == SMALLEST.same(prompts[first], prompts[second]) == expected
            equal += expected
    assert equal > 50


def test_the_worked_example():
    assert SMALL.problem(EXAMPLE) == Problem(EXAMPLE, THOUGHT, GRID, 1)
    words, features = SMALL.form.lay(EXAMPLE)
    assert words == "same at next just_left left"
    assert features.tolist() == [[0, 9, 2], [0, 4, 10], [0, 2, 5], [0, 2, 1], [0, 7, 1]]
    assert SMALL.form.symbols == (*KINDS, "a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3")
    assert SMALL.form.feature_sizes == (10, 13)


@pytest.mark.parametrize(
    "written",
    [
        "C3 = A2; b1 @ 1; a2 ~ b2; a1 just_right a2; a1 right c1",
        "c3=a2\nb1=1\na2 next b2\n\na2 just_left a1\nc1<a1\n",
        "c3==a2, b1 in 1, a2~b2, a2 just_left a1, a1>c1.",
    ],
)
def test_a_person_may_write_as_people_do(written):
    assert SMALL.problem(written) == SMALL.problem(EXAMPLE)
    assert SMALL.problem(written, "a1@1", GRID.upper()) == Problem(EXAMPLE, "a1@1", GRID, 1)


@pytest.mark.parametrize(
    ("prompt", "thought", "answer", "reason"),
    [
        ("", "", "", "1 to 9 clues expected, got 0"),
        (" ;\n; ", "", "", "1 to 9 clues expected, got 0"),
        ("a1 same", "", "", "clue 1, 'a1 same', is not a clue such as a1 same b2, or a1 at 3"),
        ("a1 at 1 ; a1 same b2 c3", "", "", "clue 2, 'a1 same b2 c3', is not a clue such as"),
        ("a1 above b2", "", "", "clue 1, 'a1 above b2', is of none of the kinds at, same, apart, next, just_left"),
        ("a1 same d2", "", "", "clue 1, 'a1 same d2', is not about two values from a1 to c3"),
        ("a1 same 2", "", "", "clue 1, 'a1 same 2', is not about two values from a1 to c3"),
        ("a1 at b2", "", "", "clue 1, 'a1 at b2', is not about a house from 1 to 3"),
        ("a1 at ３", "", "", "clue 1, 'a1 at ３', is not a clue such as"),  # noqa: RUF001
        ("a1 same a2", "", "", "clue 1, 'a1 same a2', tells nothing: its two values have to differ in category"),
        ("a1 left a1", "", "", "clue 1, 'a1 left a1', tells nothing: its two values have to differ"),
        ("a1 next b2 ; b2 next a1", "", "", "clue 2 repeats clue 1"),
        ("a1 at 1", "", "", "more than one grid satisfies the clues: c2 may be in house 2 and in house 3"),
        ("a1 left a2 ; a2 left a3 ; a3 left a1", "", "", "no grid satisfies all clues"),
        ("a1 at 1 ; " * 2_000, "", "", "the prompt has 20000 characters, and 10000 are too many"),
        (EXAMPLE, "a1@4", "", "the thought cannot be written: symbol 1 of the text is 'a1@4'; the alphabet is"),
        (EXAMPLE, "", GRID[:-3], "the answer is wrong: 9 values, such as a1 b1 c1 ..., expected, got 8"),
        (
            EXAMPLE,
            "",
            "a3 b1 c1 a2 b3 c2 a1 b2 c3",
            "the answer is wrong: clue 1 says c3 same a2, but c3 is in house 3 and a2 in house 2",
        ),
    ],
)
def test_what_cannot_be_asked(prompt, thought, answer, reason):
    with pytest.raises(PuzzleError) as error:
        SMALL.problem(prompt, thought, answer)
    assert error.value.reason.startswith(reason)


def test_clues_of_other_kinds_are_refused():
    with pytest.raises(PuzzleError, match=r"^clue 1, 'a1 same b2', is of none of the kinds left$"):
        Zebra(kinds=("left",)).problem("a1 same b2")


def test_a_puzzle_that_takes_too_long_is_refused(monkeypatch):
    monkeypatch.setattr("dlmreason.tasks.zebra.MOST_TRIES", 1)
    assert SMALL.problem(EXAMPLE).difficulty == 1
    monkeypatch.setattr("dlmreason.tasks.zebra.MOST_TRIES", 0)
    with pytest.raises(PuzzleError, match=r"^too hard: 0 tries do not tell which grids satisfy the clues$"):
        SMALL.problem(EXAMPLE)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "9 values, such as a1 b1 c1 ..., expected, got 0"),
        ("x" * 1_001, "9 values, such as a1 b1 c1 ..., expected, got a text of 1001 characters"),
        (GRID.replace("b3", "c3"), "'c3' at place 5, house 2, is none of b1 to b3"),
        (GRID.replace("c1", "c１"), "'c１' at place 3, house 1, is none of c1 to c3"),  # noqa: RUF001
        (GRID.replace("a1", "a3"), "a3 stands in house 1 and in house 3"),
        ("a3 b2 c1 a2 b3 c3 a1 b1 c2", "clue 2 says b1 at 1, but b1 is in house 3"),
        ("a3 b1 c2 a2 b3 c3 a1 b2 c1", "clue 5 says c1 left a1, but c1 is in house 3 and a1 in house 3"),
    ],
)
def test_a_verdict_says_why(answer, reason):
    assert SMALL.judge(SMALL.problem(EXAMPLE), answer) == Verdict(False, reason)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"houses": 2}, r"task\.subject\.houses=2 must be 3 to 6: of two houses each is next to the other, and more "),
        ({"houses": 7}, r"task\.subject\.houses=7 must be 3 to 6: "),
        ({"houses": True}, r"task\.subject\.houses=True must be 3 to 6: "),
        ({"categories": 1}, r"task\.subject\.categories=1 must be 2 to 6: clues tell of values that differ in kind"),
        ({"categories": "4"}, r"task\.subject\.categories=4 must be 2 to 6: "),
        ({"kinds": []}, r"task\.subject\.kinds=\[\] must be a list of one or more of at, same, apart, next, just_"),
        ({"kinds": "at"}, r"task\.subject\.kinds=at must be a list of one or more of at, same"),
        ({"kinds": ["at", "at"]}, r"task\.subject\.kinds=\['at', 'at'\] must be a list of one or more of .*, each"),
        ({"kinds": ["above"]}, r"task\.subject\.kinds=\['above'\] must be a list of one or more of at, same"),
        ({"kinds": ["same", "next"]}, r"task\.subject\.kinds=\['same', 'next'\] must be kinds that tell every grid "),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match="^" + message):
        Zebra(**arguments)


SYMBOLS = ["a1", "b2", "c3", "a4", "same", "at", "left", "=", "~", "1", ";", "é", "x"]


@given(st.lists(st.sampled_from(SYMBOLS), max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_prompt_is_asked_or_refused(symbols):
    try:
        problem = SMALL.problem(" ".join(symbols))
    except PuzzleError:
        return
    assert is_right(SMALL, problem.prompt, problem.answer)
