import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from dlmreason.tasks.boolean import Boolean
from dlmreason.tasks.example import PuzzleError, Verdict, split_of
from dlmreason.tasks.subject import Problem
from tests.tasks import laws

STANDARD = ("and", "or", "nand", "nor")
EVERY = (*STANDARD, "xor", "xnor")
SUBJECTS = [Boolean(), Boolean(depth=1), Boolean(depth=4, operators=EVERY), Boolean(operators=("xor",))]

MEANING = {
    "and": lambda left, right: left and right,
    "or": lambda left, right: left or right,
    "nand": lambda left, right: not left or not right,
    "nor": lambda left, right: not left and not right,
    "xor": lambda left, right: left is not right,
    "xnor": lambda left, right: left is right,
}


def named(subjects):
    return pytest.mark.parametrize("subject", subjects, ids=lambda subject: subject.name)


def read(prompt):
    """A nested (operator, left, right), True or False, of the innermost parentheses first."""
    stack = [[]]
    for symbol in prompt.split():
        if symbol == "(":
            stack.append([])
        elif symbol == ")":
            left, operator, right = stack.pop()
            stack[-1].append((operator, left, right))
        else:
            stack[-1].append({"T": True, "F": False}.get(symbol, symbol))
    (left, operator, right), *rest = stack
    assert rest == []
    return operator, left, right


def value(tree):
    return tree if isinstance(tree, bool) else MEANING[tree[0]](value(tree[1]), value(tree[2]))


def spelled(tree):
    return "FT"[tree] if isinstance(tree, bool) else f"( {spelled(tree[1])} {tree[0]} {spelled(tree[2])} )"


def levels(tree):
    """The operators' trees by depth, the root first."""
    found, level = [], [tree]
    while not isinstance(level[0], bool):
        found.append(level)
        level = [below for _, *both in level for below in both]
    return found


def thought_is_true(problem):
    tree = read(problem.prompt)
    values = ["FT"[value(each)] for level in reversed(levels(tree)) for each in level]
    return problem.thought.split() == values and values[-1] == problem.answer


@pytest.mark.parametrize("count", laws.GOLD)
@named(SUBJECTS)
def test_answers_are_right_and_thoughts_true(subject, count):
    laws.gold_holds(subject, count, thought_is_true)


@pytest.mark.parametrize("cases", laws.CASES)
@named(SUBJECTS)
def test_two_judges_agree(subject, cases):
    def wrong(problem, source):
        return source.choice(["T", "F", problem.answer * 2, problem.answer.lower(), f"{problem.answer} ", "1"])

    laws.judges_agree(subject, lambda prompt, answer: answer == "FT"[value(read(prompt))], wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
def test_whatever_the_answer_a_verdict(cases):
    laws.never_raises(Boolean(), cases)


@named([Boolean(), Boolean(depth=4, operators=EVERY)])
def test_operands_may_change_places(subject):
    def turned(tree, source):
        if isinstance(tree, bool):
            return tree
        both = [turned(below, source) for below in tree[1:]]
        return (tree[0], *(both if source.random() < 0.5 else both[::-1]))

    def with_one_symbol_changed(problems):
        pairs = []
        for problem in problems:
            symbols = problem.prompt.split()
            place = next(place for place, symbol in enumerate(symbols) if symbol in subject.operators)
            symbols[place] = "and" if symbols[place] != "and" else "or"
            flipped = problem.prompt.translate(str.maketrans("TF", "FT"))
            pairs += [(problem.prompt, " ".join(symbols))]
            pairs += [(problem.prompt, flipped)] if problem.prompt.count("T") != problem.prompt.count("F") else []
        return pairs

    def copied(prompt, source):
        return spelled(turned(read(prompt), source))[2:-2]

    laws.copies_are_found(subject, copied, with_one_symbol_changed)


def test_the_dual_has_the_other_answer_and_is_no_copy():
    change = dict(zip((*EVERY, "T", "F"), ("or", "and", "nor", "nand", "xnor", "xor", "F", "T"), strict=True))
    subject = Boolean(operators=EVERY)
    for problem in laws.drawn(subject, 500):
        dual = subject.problem(" ".join(change.get(symbol, symbol) for symbol in problem.prompt.split()))
        assert {problem.answer, dual.answer} == {"T", "F"}
        assert dual.difficulty == problem.difficulty
        assert not subject.same(problem.prompt, dual.prompt)


def every_tree(depth, operators):
    if depth == 0:
        return [True, False]
    below = every_tree(depth - 1, operators)
    return [(operator, *both) for operator in operators for both in itertools.product(below, below)]


@pytest.mark.parametrize("operators", [STANDARD, ("xor", "and")], ids=" ".join)
def test_of_depth_two_as_many_expressions_differ_as_counting_says(operators):
    subject = Boolean(depth=2, operators=operators)
    prompts = [spelled(tree)[2:-2] for tree in every_tree(2, operators)]
    assert len(prompts) == len(operators) ** 3 * 2**4
    different = 2
    for _ in range(2):
        different = len(operators) * different * (different + 1) // 2
    assert len(set(subject.keys(prompts))) == different == {4: 312, 2: 42}[len(operators)]


@pytest.mark.slow
def test_depth_three_has_room_for_three_splits():
    subject, below = Boolean(), {}
    for tree in every_tree(2, STANDARD):
        below.setdefault(Boolean(depth=2).keys([spelled(tree)[2:-2]])[0], spelled(tree))
    pairs = list(itertools.combinations_with_replacement(below.values(), 2))
    keys = subject.keys([f"{left} {operator} {right}" for operator in STANDARD for left, right in pairs])
    assert len(set(keys)) == len(keys) == 195_312
    sizes = np.bincount(split_of(np.array(keys, np.uint64)))
    assert np.abs(sizes / len(keys) - [0.5, 0.25, 0.25]).max() < 0.006  # 5 standard deviations


def chance(tree, operators):
    """How likely the tree is where its value is drawn: the operators first, then values that agree."""
    if isinstance(tree, bool):
        return Fraction(1)
    operator, left, right = tree
    causes = [both for both in itertools.product((True, False), repeat=2) if MEANING[operator](*both) == value(tree)]
    return chance(left, operators) * chance(right, operators) / len(operators) / len(causes)


def best_guess(chances):
    """How often the best guess from what is seen is right; chances: (what is seen, value) to its share."""
    best = {}
    for (seen, _), share in chances.items():
        best[seen] = max(best.get(seen, 0), share)
    return sum(best.values())


@pytest.mark.parametrize(("depth", "operators"), [(1, EVERY), (2, STANDARD), (2, ("and", "xor"))])
def test_trees_are_drawn_with_these_chances(depth, operators):
    subject = Boolean(depth=depth, operators=operators)
    expected = {spelled(tree)[2:-2]: float(chance(tree, operators) / 2) for tree in every_tree(depth, operators)}
    assert sum(expected.values()) == pytest.approx(1)
    found = Counter(problem.prompt for problem in laws.drawn(subject, 20_000))
    assert found.keys() <= expected.keys()
    counts = [found[prompt] for prompt in expected]
    assert chisquare(counts, [20_000 * share for share in expected.values()]).pvalue > 1e-4


def test_the_operators_of_every_height_are_needed_to_tell_anything():
    chances = {tree: chance(tree, STANDARD) / 2 for tree in every_tree(2, STANDARD)}
    assert sum(chances.values()) == 1

    def guess(see):
        shares = Counter()
        for tree, share in chances.items():
            leaves = (*tree[1][1:], *tree[2][1:])
            shares[see(tree[0], (tree[1][0], tree[2][0]), leaves, tree), value(tree)] += share
        return best_guess(shares)

    assert guess(lambda root, lower, leaves, tree: root) == Fraction(1, 2)
    assert guess(lambda root, lower, leaves, tree: (root, lower)) == Fraction(1, 2)
    assert guess(lambda root, lower, leaves, tree: (root, leaves)) == Fraction(1, 2)
    assert guess(lambda root, lower, leaves, tree: (lower, leaves)) == Fraction(1, 2)
    assert guess(lambda root, lower, leaves, tree: (root, value(tree[1]))) == Fraction(5, 6)
    assert guess(lambda root, lower, leaves, tree: (root, lower, leaves[0])) == Fraction(13, 18)
    assert guess(lambda root, lower, leaves, tree: (root, lower, sum(leaves))) == Fraction(185, 216)
    assert guess(lambda root, lower, leaves, tree: tree) == 1


@pytest.mark.slow
def test_what_can_be_guessed_at_depth_three():
    halves = Counter()
    for tree in every_tree(2, STANDARD):
        leaves = (*tree[1][1:], *tree[2][1:])
        operators = (tree[0], tree[1][0], tree[2][0])
        halves[operators, leaves[0], sum(leaves), value(tree)] += float(chance(tree, STANDARD))
    views = {name: Counter() for name in ("operators", "one value", "number of T", "number in each half", "half")}
    for (left, one), (right, other) in itertools.product(halves.items(), repeat=2):
        for root in STANDARD:
            result = MEANING[root](left[3], right[3])
            causes = sum(MEANING[root](*both) == result for both in itertools.product((True, False), repeat=2))
            share, operators = one * other / causes / 8, (root, left[0], right[0])
            for name, seen in (
                ("operators", operators),
                ("one value", (operators, left[1])),
                ("number of T", (operators, left[2] + right[2])),
                ("number in each half", (operators, left[2], right[2])),
                ("half", (root, left[3])),
            ):
                views[name][seen, result] += share
    found = {name: round(best_guess(shares), 3) for name, shares in views.items()}
    assert found == {
        "operators": 0.5,
        "one value": 0.648,
        "number of T": 0.707,
        "number in each half": 0.857,
        "half": 0.833,
    }


@named([Boolean(depth=2), Boolean(), Boolean(operators=EVERY)])
def test_difficulty_is_the_fewest_operators_that_settle_the_answer(subject):
    def known(tree, path, may):
        """The value, or None where it hangs on operators that are not to be known."""
        if isinstance(tree, bool):
            return tree
        if path not in may:
            return None
        both = [known(below, f"{path}{side}", may) for side, below in enumerate(tree[1:])]
        results = {
            MEANING[tree[0]](*each)
            for each in itertools.product(*([True, False] if one is None else [one] for one in both))
        }
        return results.pop() if len(results) == 1 else None

    paths = ["".join(path) for length in range(subject.depth) for path in itertools.product("01", repeat=length)]
    for problem in laws.drawn(subject, 150):
        tree = read(problem.prompt)
        enough = (
            size
            for size in range(1, len(paths) + 1)
            for may in itertools.combinations(paths, size)
            if known(tree, "", set(may)) is not None
        )
        assert problem.difficulty == next(enough)


def test_worked_example():
    subject = Boolean(depth=2)
    prompt = "( T nand F ) or ( F and T )"
    assert subject.problem(prompt) == Problem(prompt, "T F T", "T", 2)
    text, features = subject.form.lay(prompt)
    assert text == "T nand F or F and T"
    assert features.tolist() == [[0, 0], [0, 1], [0, 0], [1, 2], [0, 0], [0, 1], [0, 0]]
    assert subject.form.symbols == ("T", "F", "and", "or", "nand", "nor")


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("(T nand F) or (F and T)", "( T nand F ) or ( F and T )"),
        ("not (true AND false) | (0 & 1)", "( T nand F ) or ( F and T )"),
        ("((not F nand F)) or (F and not not T)", "( T nand F ) or ( F and T )"),
        ("!(!(T nand F) nor (F&&T))", "( T and F ) or ( F and T )"),
        ("( not ( T and F ) ) or T", "( T nand F ) or ( T and T )"),
        ("F", "( F and F ) and ( F and F )"),
    ],
)
def test_a_person_may_write_as_people_do(text, prompt):
    assert Boolean(depth=2).problem(text).prompt == prompt


@given(st.integers(0, 3), st.randoms())
def test_what_a_person_writes_keeps_its_value(depth, source):
    def sentence(height):
        """A text, and its value."""
        if height == 0 or source.random() < 0.2:
            leaf = source.random() < 0.5
            return source.choice(["TRUE", "1", "t"] if leaf else ["false", "0", "F"]), leaf
        (left, one), (right, other) = sentence(height - 1), sentence(height - 1)
        operator = source.choice(EVERY)
        result = MEANING[operator](one, other)
        shut = source.choice(["({})", "(not ({}))"])
        return shut.format(f"{left} {operator} {right}"), result is ("not" not in shut)

    text, result = sentence(depth)
    problem = Boolean(operators=EVERY).problem(text, answer=str(result))
    assert problem.answer == "FT"[result]
    assert thought_is_true(problem)


@pytest.mark.parametrize(
    ("prompt", "thought", "answer", "reason"),
    [
        ("", "", "", "symbol 1 is the end where a value or a parenthesis is expected"),
        ("(T and F", "", "", "symbol 5 is the end where ) is expected: each parenthesis joins two operands"),
        ("T and F or T", "", "", "symbol 4, or, is one too many: each parenthesis joins two operands"),
        ("(T and F or T)", "", "", "symbol 5 is or where ) is expected: each parenthesis joins two operands"),
        ("T and", "", "", "symbol 3 is the end where a value or a parenthesis is expected"),
        ("T maybe F", "", "", "symbol 2, 'maybe', is no value, operator or parenthesis"),
        ("Ｔ", "", "", "symbol 1, 'Ｔ', is no value, operator or parenthesis"),  # noqa: RUF001
        ("T xor F", "", "", "xor is not among the operators here, and, or, nand, nor"),
        ("((T and T) and T) and T", "", "", "more than 2 operators stand below each other"),
        ("(" * 100 + "T" + ")" * 100, "", "", "more than 60 parentheses and negations stand around each other"),
        ("not " * 80 + "T", "", "", "more than 60 parentheses and negations stand around each other"),
        ("(" * 10_000, "", "", "10000 characters are too many for such an expression; at most 360"),
        ("T and T", "", "F", "the answer is wrong: the value of the expression is T"),
        ("T and T", "", "yes", "the answer is wrong: T or F expected, got 3 characters, 'yes'"),
        ("T and T", "T F (", "", "the thought cannot be written: symbol 3 of the text is '('; the alphabet is"),
    ],
)
def test_what_cannot_be_asked(prompt, thought, answer, reason):
    with pytest.raises(PuzzleError) as error:
        Boolean(depth=2).problem(prompt, thought, answer)
    assert error.value.reason.startswith(reason)


def test_a_value_alone_needs_an_operator_that_keeps_it():
    with pytest.raises(PuzzleError, match=r"^a value stands where 2 more operators are expected below each other"):
        Boolean(depth=3, operators=("xor", "nor")).problem("T xor (T nor F)")


@given(st.lists(st.sampled_from(["(", ")", "T", "false", "not", "and", "|", "xor", "Q", "é"]), max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_prompt_is_asked_or_refused(symbols):
    subject = Boolean()
    try:
        problem = subject.problem(" ".join(symbols))
    except PuzzleError:
        return
    assert thought_is_true(problem)


def test_a_verdict_says_why():
    subject = Boolean(depth=1)
    problem = subject.problem("T and F")
    assert subject.judge(problem, "F") == Verdict(True, "")
    assert subject.judge(problem, "T") == (False, "the value of the expression is F")
    assert subject.judge(problem, "false") == (False, "T or F expected, got 5 characters, 'false'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, r"task\.subject\.depth=0 must be 1 to 8: "),
        ({"depth": "3"}, r"task\.subject\.depth=3 must be 1 to 8: "),
        (
            {"operators": []},
            r"task\.subject\.operators=\[\] must be a list of one or more of and, or, nand, nor, xor, x",
        ),
        ({"operators": ["not"]}, r"task\.subject\.operators=\['not'\] must be a list of one or more of and, or, "),
        ({"operators": "and"}, r"task\.subject\.operators=and must be a list of one or more of and, or, "),
        ({"operators": ["or", "or"]}, r"task\.subject\.operators=\['or', 'or'\] must be different ones: "),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match="^" + message):
        Boolean(**arguments)
