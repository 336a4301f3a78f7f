import json
import os
import re
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from dlmreason.tasks.countdown import Countdown
from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.subject import Problem, copies
from tests.tasks import laws
from tests.tasks.test_countdown_search import EQUATION, SEARCHES, named, parts, plainly, value

THREE, FOUR, FIVE = (Countdown(numbers=numbers) for numbers in (3, 4, 5))
GAME = Countdown(numbers=4, largest=13, target=(24, 24), all_numbers=True)
TINY = Countdown(numbers=3, largest=7, target=(1, 30), thought="search", all_numbers=True)


def judged_otherwise(subject):
    """By counting: what the first k equations take is among what is given and what the k - 1 before them make."""

    def right(prompt, answer):
        numbers, target = parts(prompt)
        equations = [EQUATION.fullmatch(text) for text in answer.split(",")]
        if None in equations or re.search(r"(?<![0-9])0[0-9]", answer):
            return False
        taken, there = Counter(), Counter(numbers)
        for a, sign, b, result in (equation.groups() for equation in equations):
            taken += Counter([int(a), int(b)])
            if value(int(a), sign, int(b)) != int(result) or not taken <= there:
                return False
            there[int(result)] += 1
        return int(result) == target and (not subject.all_numbers or len(equations) == subject.numbers - 1)

    return right


def shown_is_true(problem):
    """A path: the answer's equations, and between them the numbers left."""
    numbers, _ = parts(problem.prompt)
    texts = problem.thought.split("|")
    there = Counter(numbers)
    for place, text in enumerate(texts[::2]):
        a, sign, b, result = EQUATION.fullmatch(text).groups()
        there = there - Counter([int(a), int(b)]) + Counter([int(result)])
        if value(int(a), sign, int(b)) != int(result):
            return False
        if 2 * place + 1 < len(texts) and Counter(map(int, texts[2 * place + 1].split(","))) != there:
            return False
    return ",".join(texts[::2]) == problem.answer


@pytest.mark.parametrize("count", laws.GOLD)
@named([THREE, FOUR, FIVE, GAME, Countdown(numbers=2, largest=30)])
def test_paths_are_true_and_end_in_the_answer(subject, count):
    laws.gold_holds(subject, count, shown_is_true)


# --- what is drawn


def test_targets_are_as_likely_and_so_are_the_hands_of_each():
    subject = Countdown(numbers=2, largest=6, target=(4, 9))
    count = 30_000
    problems = [problem for seed in range(4) for problem in subject.draw(seed, count // 4)]
    assert len(problems) == count
    seen = Counter(problem.prompt for problem in problems)
    for target in range(4, 10):
        hands = [hand for hand in product(range(1, 7), repeat=2) if plainly(list(hand), target)]
        mean = count / 6 / len(hands)
        assert {prompt for prompt in seen if prompt.endswith(f",{target}")} == {f"{a},{b},{target}" for a, b in hands}
        assert all(abs(seen[f"{a},{b},{target}"] - mean) < 5 * mean**0.5 for a, b in hands)


def test_what_is_wanted_has_no_say_in_the_targets_nor_in_the_hands_of_each():
    """The sum of the numbers decides, so that some targets have little that is wanted, and 7 has nothing."""

    def wanted(prompts):
        return np.array([sum(parts(prompt)[0]) % 3 == 0 for prompt in prompts], np.bool_)

    subject, count = Countdown(numbers=2, largest=6, target=(4, 9)), 24_000
    problems = subject.draw_wanted(1, count, wanted)
    assert problems[:50] == subject.draw_wanted(1, count, wanted)[:50]
    seen = Counter(problem.prompt for problem in problems)
    for target in range(4, 10):
        hands = [hand for hand in product(range(1, 7), repeat=2) if sum(hand) % 3 == 0 and plainly(list(hand), target)]
        assert bool(hands) == (target != 7)
        mean = count / 6 / max(len(hands), 1)
        assert {prompt for prompt in seen if prompt.endswith(f",{target}")} == {f"{a},{b},{target}" for a, b in hands}
        assert all(abs(seen[f"{a},{b},{target}"] - mean) < 5 * mean**0.5 for a, b in hands)


@named([THREE, FIVE])
def test_wanted_problems_of_each_size_are_drawn_alike(subject):
    def odd(prompts):
        return np.array([key % 4 == 1 for key in subject.keys(prompts)], np.bool_)

    problems = subject.draw_wanted(5, 200, odd)
    assert len(problems) == 200 and odd([problem.prompt for problem in problems]).all()
    assert all(subject.judge(problem, problem.answer).correct and shown_is_true(problem) for problem in problems)
    assert subject.draw_wanted(5, 4, lambda prompts: np.zeros(len(prompts), np.bool_)) == []
    targets = [parts(problem.prompt)[1] for problem in problems]
    unsplit = [parts(problem.prompt)[1] for problem in subject.draw(5, 200)]
    assert targets == unsplit, "the targets are drawn first"


def test_held_targets_are_never_drawn_but_may_be_asked():
    held = (14, 39, 41, 57, 62, 81, 87, 89, 96)
    subject = Countdown(numbers=4, held_targets=list(held))
    problems = laws.drawn(subject, 3_000)
    assert {parts(problem.prompt)[1] for problem in problems} == {*range(10, 101)} - {*held}
    assert subject.problem("86,28,13,31,96").answer.endswith("=96")
    assert subject.name != FOUR.name
    assert subject.parameters["held_targets"] == "14 39 41 57 62 81 87 89 96"


def test_what_cannot_be_made_is_left_out_of_a_draw():
    subject = Countdown(numbers=2, largest=2, target=(3, 4))  # 4 is 2 + 2, 3 is 1 + 2
    assert {problem.prompt for problem in subject.draw(0, 200)} == {"2,2,4", "1,2,3", "2,1,3"}
    unmade = Countdown(numbers=2, largest=9, target=(80, 81), held_targets=(81,))
    assert unmade.draw(0, 20) == []


def test_every_problem_drawn_can_use_all_numbers():
    for problem in laws.drawn(FIVE, 300):
        assert problem.answer.count("=") == 4


# --- judges


def wrong(problem, source):
    """An answer with some of its characters, numbers or equations changed."""
    equations = problem.answer.split(",")
    place = source.randrange(len(equations))
    a, sign, b, result = EQUATION.fullmatch(equations[place]).groups()
    match source.randrange(9):
        case 0:
            equations[place] = f"{b}{sign}{a}={result}"  # right for + and *
        case 1:
            equations[place] = f"{a}{source.choice('+-*/')}{b}={result}"
        case 2:
            del equations[place]
        case 3:
            source.shuffle(equations)  # right where nothing depends on it
        case 4:
            other = source.choice([*re.findall(r"\d+", problem.prompt + problem.answer), "1"])
            made = value(int(a), "+", int(other))
            equations[place] = f"{a}+{other}={made}"
        case 5:
            equations.insert(place, f"{result}+0={result}")
        case 6:
            equations[place] = f"{a}{sign}{b}=0{result}"
        case 7:
            text = list(problem.answer)
            text[source.randrange(len(text))] = source.choice("0123456789+-*/=,")
            return "".join(text)
        case 8:  # two given numbers, and the target out of nothing
            numbers, target = parts(problem.prompt)
            equations = [f"{numbers[0]}+{numbers[1]}={numbers[0] + numbers[1]}", f"{target}+0={target}"]
    return ",".join(equations)


@pytest.mark.parametrize("cases", laws.CASES)
@named([THREE, FOUR, FIVE, GAME, TINY])
def test_two_judges_agree(subject, cases):
    laws.judges_agree(subject, judged_otherwise(subject), wrong, cases)


def test_two_judges_agree_about_all_answers_of_a_tiny_world():
    """All two equations of numbers up to 4, and all single ones, against every target."""
    loose, strict = (Countdown(numbers=3, largest=4, target=(1, 64), all_numbers=each) for each in (False, True))
    equations = [
        f"{a}{sign}{b}={result}"
        for a, b in product(range(5), repeat=2)
        for sign in "+-*/"
        if (result := value(a, sign, b)) is not None
    ]
    right = Counter()
    for answer in [*equations, *map(",".join, product(equations, repeat=2))]:
        for prompt in ("1,2,4," + answer.rpartition("=")[2], "3,3,1," + answer.rpartition("=")[2]):
            for subject in (loose, strict):
                if not prompt.endswith(",0"):
                    verdict = subject.judge(Problem(prompt, "", "", 0), answer)
                    assert verdict.correct == judged_otherwise(subject)(prompt, answer), (prompt, answer, verdict)
                    right[subject.all_numbers] += verdict.correct
    assert right[False] > right[True] > 50


@pytest.mark.parametrize("cases", laws.FUZZ)
@named([THREE, FIVE, GAME])
def test_whatever_the_answer_a_verdict(subject, cases):
    laws.never_raises(subject, cases)


def test_whatever_the_answer_a_lenient_verdict():
    problem = laws.drawn(FOUR, 1)[0]
    for text in (*laws.POISON, "5-7=-2", "1/0=1", "=,=", "1+1=2,", "９+９=18"):  # noqa: RUF001
        verdict = FOUR.paper_compat(problem, text)
        assert not verdict.correct and 0 < len(verdict.reason) < 300


ASKED = "86,28,13,31,96"
GOOD = "86+28=114,31-13=18,114-18=96"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (GOOD, ""),
        ("28+86=114,31-13=18,114-18=96", ""),
        ("31-13=18,86+28=114,114-18=96", ""),
        ("86+13=99,31-28=3,99-3=96", ""),
        ("86+28=114,31-13=18,114-18=95", "equation 3, '114-18=95', is not true"),
        ("86+28=114,31-13=18", "the last result is 18, not 96"),
        ("86+10=96", "equation 1 uses 10 where 28, 13, 31 is left"),
        ("86+28=114,28-13=15", "equation 2 uses 28 where 13, 31, 114 is left"),
        ("86-86=0", "equation 1 uses 86 where 28, 13, 31 is left"),
        ("86+28=114;31-13=18", "equation 1, '86+28=114;31-13=18', is not of the form 12+34=46"),
        ("86 + 28 = 114", "equation 1, '86 + 28 = 114', is not of the form 12+34=46"),
        ("13-31=18", "equation 1, '13-31=18', is not true"),
        ("86/28=3", "equation 1, '86/28=3', is not true"),
        ("086+28=114", "equation 1, '086+28=114', is not of the form 12+34=46"),
        ("", "equation 1, '', is not of the form 12+34=46"),
        (GOOD + ",", "equation 4, '', is not of the form 12+34=46"),
        (GOOD * 2, "at most 35 characters expected, got 56"),
    ],
)
def test_a_refusal_names_what_and_where(answer, reason):
    verdict = FOUR.judge(FOUR.problem(ASKED), answer)
    assert verdict == Verdict(reason == "", reason)


def test_numbers_may_be_left_over_unless_all_are_asked_for():
    strict = Countdown(numbers=5, all_numbers=True)
    for answer, left in (("1+9=10", "97, 98, 99"), ("97*98=9506,9506*99=941094,1+9=10", "941094")):
        problem = Problem("97,98,99,1,9,10", "", "", 0)
        assert FIVE.judge(problem, answer).correct
        assert strict.judge(problem, answer).reason == f"all numbers are to be used, and {left} is left over"
    fewer = FOUR.problem("64,65,51,76,14")
    assert (fewer.thought, fewer.answer, fewer.difficulty) == ("65-51=14", "65-51=14", 1152)
    with pytest.raises(PuzzleError, match="14 cannot be reached with 64, 65, 51, 76 by"):
        Countdown(numbers=4, all_numbers=True).problem("64,65,51,76,14")


def test_zero_and_one_are_numbers_on_the_way():
    problem = Problem("5,5,7,1,35", "", "", 0)
    assert FOUR.judge(problem, "7*5=35,5/5=1,35*1=35").reason == "equation 2 uses 5 where 1, 35 is left"
    assert FOUR.judge(problem, "5-5=0,0/7=0,35+0=35").reason == "equation 3 uses 35 where 1, 0 is left"
    assert FOUR.judge(Problem("5,5,7,28,35", "", "", 0), "5-5=0,7+28=35,35-0=35").correct
    assert FOUR.judge(Problem("5,5,7,35,35", "", "", 0), "5-5=0,0/7=0,0+35=35").correct


def test_the_papers_grader_does_not_look_at_the_numbers_used():
    problem = FOUR.problem(ASKED)
    for answer in ("90+6=96", "86+28=114,86+10=96", "1+1=2,96*1=96", "096+0=96"):
        assert FOUR.paper_compat(problem, answer) == Verdict(True, "")
        assert not FOUR.judge(problem, answer).correct
    assert FOUR.paper_compat(problem, "90+5=95").reason == "the last result is 95, not 96"
    assert FOUR.paper_compat(problem, "90+5=96").reason == "equation 1, '90+5=96', is not true"
    for made in laws.drawn(GAME, 200):
        assert GAME.paper_compat(made, made.answer).correct


# --- examples, spellings and refusals


def test_a_path_spelled_out():
    """Wrong ends: none before 86+28, then two operations of 4 ends each before 31-13, and two before 114-18."""
    thought = "86+28=114|13,31,114|31-13=18|114,18|114-18=96"
    assert FOUR.problem(ASKED) == Problem(ASKED, thought, GOOD, 10)
    other = FOUR.problem(ASKED, "", "86+13=99,31-28=3,99-3=96")
    assert other.thought == "86+13=99|28,31,99|31-28=3|99,3|99-3=96"
    assert other.difficulty == 10


@pytest.mark.parametrize(
    "prompt",
    [
        "86 28 13 31 96",
        " 86, 28, 13, 31, 96 ",
        "86,28,13,31=96",
        "86 28 13 31 -> 96",
        "86;28;13;31:96",
        "86,28,13,31 = 96",
    ],
)
def test_a_person_may_write_otherwise(prompt):
    assert FOUR.problem(prompt).prompt == ASKED
    assert FOUR.problem(prompt, "", "86 + 28 = 114; 31 − 13 = 18; 114 − 18 = 96").answer == GOOD  # noqa: RUF001
    assert GAME.problem("4 6 10 5", "", "10-4=6, 5×6=30, 30-6=24").prompt == "4,6,10,5,24"  # noqa: RUF001


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("86,28,13,96",), "4 numbers and a target expected, got 4 parts"),
        (("86,28,13,31,5,96",), "4 numbers and a target expected, got 6 parts"),
        (("",), "4 numbers and a target expected, got 1 parts"),
        (("86,28,13,100,96",), "part 4, '100', is not a number from 1 to 99"),
        (("86,28,0,31,96",), "part 3, '0', is not a number from 1 to 99"),
        (("86,28,13,31,101",), "part 5, '101', is not a target from 10 to 100"),
        (("86,28,13,31,9",), "part 5, '9', is not a target from 10 to 100"),
        (("86,28,1_3,31,96",), "part 3, '1_3', is not a number"),
        (("86,28,１３,31,96",), "part 3, '１３', is not a number"),  # noqa: RUF001
        (("86,28,013,31,96",), "part 3, '013', is not a number"),
        (("9" * 10_000,), "10000 characters are too many for 4 numbers and a target"),
        (("1,1,1,1,96",), "96 cannot be reached with 1, 1, 1, 1 by natural numbers alone"),
        ((ASKED, "", "86+10=96"), "the answer is wrong: equation 1 uses 10 where"),
        ((ASKED, "", "9" * 10_000), "the answer is wrong: at most 35 characters expected, got 10000"),
        ((ASKED, "86+28 is 114", GOOD), "the thought cannot be written: character 6"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(texts, reason):
    with pytest.raises(PuzzleError) as error:
        FOUR.problem(*texts)
    assert error.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"numbers": 1}, "task.subject.numbers=1 must be 2 to 6"),
        ({"numbers": 7}, "task.subject.numbers=7 must be 2 to 6"),
        ({"numbers": True}, "task.subject.numbers=True must be 2 to 6"),
        ({"largest": 1}, "task.subject.largest=1 must be 2 to "),
        ({"numbers": 5, "largest": 2_000}, "task.subject.largest=2000 must be 2 to 102"),
        ({"target": (20, 10)}, r"task.subject.target=\(20, 10\) must be the lowest and the highest target"),
        ({"target": 24}, "task.subject.target=24 must be the lowest and the highest target"),
        ({"target": [1, 2, 3]}, "must be the lowest and the highest target, within 1 to 100000, such as"),
        ({"target": (0, 10)}, "task.subject.target"),
        ({"numbers": 2, "largest": 5, "target": (1, 26)}, "within 1 to 25"),
        ({"thought": "tree"}, "task.subject.thought=tree must be path or search"),
        ({"all_numbers": 1}, "task.subject.all_numbers=1 must be true or false"),
        ({"breadth": 0}, "task.subject.breadth=0 must be 1 to 8"),
        ({"held_targets": (9,)}, r"task.subject.held_targets=\(9,\) must be some of the targets 10 to 100"),
        ({"held_targets": ["12"]}, "task.subject.held_targets"),
        ({"held_targets": 12}, "task.subject.held_targets=12 must be some"),
        ({"target": (24, 24), "held_targets": (24,)}, "task.subject.held_targets"),
    ],
)
def test_settings_that_make_no_task_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Countdown(**settings)


def test_the_longest_answer_is_one():
    assert len(THREE.problem("75,52,39,100", "", "75*52=3900,3900/39=100").answer) == THREE.form.answer
    assert (THREE.form.answer, FOUR.form.answer, FIVE.form.answer) == (22, 35, 52)
    assert (THREE.form.prompt, FOUR.form.prompt, FIVE.form.prompt) == (12, 15, 18)


def test_names_tell_settings_apart():
    subjects = [THREE, FOUR, FIVE, GAME, TINY, *SEARCHES, Countdown(numbers=4, all_numbers=True)]
    subjects += [Countdown(numbers=4, largest=50), Countdown(numbers=4, target=(10, 99))]
    assert len({subject.name for subject in subjects}) == len(subjects)
    assert (FOUR.name, GAME.name) == ("countdown_4", "game_of_24")
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", subject.name) for subject in subjects)


# --- copies


def shuffled(prompt, source):
    *numbers, target = prompt.split(",")
    source.shuffle(numbers)
    return ",".join([*numbers, target])


def near(problems):
    """The same numbers with another target, the target in a number's place, one number changed, all of it doubled."""
    pairs = []
    for problem in problems:
        numbers, target = parts(problem.prompt)
        others = [
            [*numbers, target + 1],
            [target, *numbers[1:], numbers[0]],
            [numbers[0] + 1, *numbers[1:], target],
            [2 * number for number in (*numbers, target)],
        ]
        pairs += [(problem.prompt, ",".join(map(str, other))) for other in others if other != [*numbers, target]]
    return pairs


@named([THREE, FIVE, GAME])
def test_the_order_of_the_numbers_makes_no_other_problem(subject):
    laws.copies_are_found(subject, shuffled, near)


def test_drawn_problems_are_seldom_copies():
    laws.copies_are_found(FOUR, shuffled)


# --- real files, where there are some

DATA = os.environ.get("DLMREASON_DATA")
REAL = pytest.mark.skipif(not DATA or not Path(DATA).is_dir(), reason="DLMREASON_DATA names no folder of real problems")
TARGETS = {3: [22, 24, 25, 30, 32, 50, 65, 67, 96], 4: [14, 39, 41, 57, 62, 81, 87, 89, 96]}


def real(numbers):
    lines = (Path(DATA) / "countdown" / f"cd{numbers}_test.jsonl").read_text().splitlines()
    return [(row["input"], row["output"]) for row in map(json.loads, lines)]


@REAL
@pytest.mark.parametrize("subject", [THREE, FOUR, Countdown(numbers=3, all_numbers=True)], ids=lambda each: each.name)
def test_all_real_answers_are_right_and_those_of_the_plain_search(subject):
    rows, other = real(subject.numbers), judged_otherwise(subject)
    assert len(rows) == 1000
    for prompt, answer in rows:
        problem = subject.problem(prompt, "", answer)
        assert problem[:3] == (prompt, problem.thought, answer) and shown_is_true(problem)
        assert subject.judge(problem, answer).correct and other(prompt, answer)
        assert subject.paper_compat(problem, answer).correct
        assert subject.problem(prompt) == problem
    assert sorted({parts(prompt)[1] for prompt, _ in rows}) == TARGETS[subject.numbers]


@REAL
@pytest.mark.parametrize(("subject", "repeated"), [(THREE, 7), (FOUR, 0)], ids=["cd3", "cd4"])
def test_real_items_that_are_repeated_are_found(subject, repeated):
    prompts = [prompt for prompt, _ in real(subject.numbers)]
    found = [pair for pair in copies(subject, prompts, prompts) if pair[0] < pair[1]]
    assert len(found) == repeated
    assert all(Counter(prompts[i].split(",")) == Counter(prompts[j].split(",")) for i, j in found)


@REAL
@pytest.mark.parametrize("numbers", [3, 4])
def test_problems_are_drawn_as_the_real_ones_were(numbers):
    """Numbers, operations and places of the first solution, at the targets of the file, to 4 standard errors."""
    held = [target for target in range(10, 101) if target not in TARGETS[numbers]]
    subject = Countdown(numbers=numbers, held_targets=held)

    def measured(problem):
        return [*(problem.answer.count(sign) for sign in "+-*/"), sum(parts(problem.prompt)[0]), problem.difficulty]

    theirs = np.array([measured(subject.problem(*row[:1], "", row[1])) for row in real(numbers)])
    ours = np.array([measured(problem) for problem in laws.drawn(subject, 4_000)])
    error = np.sqrt(theirs.var(axis=0) / len(theirs) + ours.var(axis=0) / len(ours))
    assert (np.abs(theirs.mean(axis=0) - ours.mean(axis=0)) < 4 * error).all()
