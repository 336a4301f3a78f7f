import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.tasks.counting import Counting
from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.subject import Problem
from dlmreason.tasks.written import Written
from tests.tasks import laws

SUBJECTS = [
    Counting(),
    Counting(shortest=11, longest=20),
    Counting(modulus=12, steps=4, shortest=2, longest=12, room=12),
    Counting(modulus=1000, steps=400, longest=40, room=50),
]


def named(subjects):
    return pytest.mark.parametrize("subject", subjects, ids=lambda subject: subject.name)


def counted(prompt, modulus):
    """Term by term, until the last one is met."""
    first, step, last = map(int, prompt.split())
    terms = [first]
    while terms[-1] != last:
        terms.append((terms[-1] + step) % modulus)
    return " ".join(map(str, terms))


@pytest.mark.parametrize("count", laws.GOLD)
@named(SUBJECTS)
def test_answers_are_right_and_of_the_asked_lengths(subject, count):
    laws.gold_holds(subject, count, lambda problem: True)
    for problem in laws.drawn(subject, 100):
        assert problem.answer == counted(problem.prompt, subject.modulus)
        assert problem.difficulty == len(problem.answer.split()) and not problem.thought
        assert subject.shortest <= problem.difficulty <= subject.longest


@pytest.mark.parametrize("cases", laws.CASES)
@named(SUBJECTS)
def test_two_judges_agree(subject, cases):
    def wrong(problem, source):
        numbers = problem.answer.split()
        place = source.randrange(len(numbers))
        match source.randrange(4):
            case 0:
                numbers[place] = str(source.randrange(subject.modulus))
            case 1:
                numbers[place] = "0" + numbers[place]
            case 2:
                numbers = numbers[:-1] if len(numbers) > 1 and source.random() < 0.5 else [*numbers, "0"]
            case 3:
                return "  ".join(numbers) + source.choice(["", " "])
        return " ".join(numbers)

    laws.judges_agree(subject, lambda prompt, answer: answer == counted(prompt, subject.modulus), wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
@named(SUBJECTS[:2])
def test_whatever_the_answer_a_verdict(subject, cases):
    laws.never_raises(subject, cases)


def test_each_length_is_drawn_as_often():
    lengths = [problem.difficulty for problem in laws.drawn(Counting(), 8_000)]
    assert np.abs(np.bincount(lengths)[1:] / 8_000 - 1 / 10).max() < 0.021  # 6 standard deviations


def test_worked_examples():
    subject = Counting()
    assert subject.problem("3 5 18") == Problem("3 5 18", "", "3 8 13 18", 4)
    assert subject.problem("31 5 4").answer == "31 36 4" and subject.problem("7 1 7").answer == "7"
    assert subject.judge(subject.problem("3 5 18"), "3 8 13") == Verdict(
        False, "4 numbers joined by single spaces expected, got 3"
    )
    assert subject.judge(subject.problem("3 5 18"), "3 8 14 18").reason == "number 3 is '14' where the count has 13"


def test_shorter_and_longer_counts_lie_on_one_canvas_that_tells_no_places():
    counts = {"train_examples": 5, "validation_examples": 1, "test_examples": 5}
    short, long = (Written(each, **counts) for each in SUBJECTS[:2])
    assert short.vocabulary(False).symbols == long.vocabulary(False).symbols and short.answers_end
    assert short.length(in_place=False, thought=False) == long.length(in_place=False, thought=False) == 3 + 1 + 21
    assert short.feature_sizes == long.feature_sizes
    for task in (short, long):
        for example in task.examples("test"):
            sheet, names = task.sheet(example, in_place=False, thought=False), task.vocabulary(False)
            assert sheet.features[:, 1].tolist() == [1, 2, 3, *[0] * 22]
            assert not sheet.features[:, 0].any() and not task.answer_features().any()
            assert names.decode(sheet.tokens[4:]).split() == [
                *example.answer.split(), "<eos>", *["<pad>"] * (20 - example.difficulty)
            ]  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "answer", "reason"),
    [
        ("3 5", "", "first, step and last are expected, got 2 numbers"),
        ("3 5 37", "", "the last, '37', is not a number from 0 to 36"),
        ("3 x 1", "", "the step, 'x', is not a number from 0 to 36"),
        ("3 0 3", "", "the step 0 is none of 1 to 6 that are prime to 37"),
        ("3 7 3", "", "the step 7 is none of 1 to 6"),
        ("0 1 22", "", "the count has 23 terms, and 20 are the most"),
        ("1 " * 50, "", "100 characters are too many for three numbers below 37"),
        ("3 5 18", "3 8 18", "the answer is wrong: number 3 is '18' where the count has 13"),
    ],
)
def test_what_cannot_be_asked(prompt, answer, reason):
    with pytest.raises(PuzzleError) as error:
        Counting().problem(prompt, answer=answer)
    assert error.value.reason.startswith(reason)


@given(st.text("0123456789 x", max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_prompt_is_asked_or_refused(text):
    subject = Counting(modulus=12, steps=4, longest=12, room=12)
    try:
        problem = subject.problem(text)
    except PuzzleError:
        return
    assert subject.judge(problem, problem.answer).correct


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modulus": 1}, r"task\.subject\.modulus=1 must be a whole number from 2 to 1000: "),
        ({"room": 38}, r"task\.subject\.room=38 must be a whole number from 1 to 37: a count meets no number twice"),
        ({"steps": 37}, r"task\.subject\.steps=37 must be a whole number from 1 to 36: each is prime"),
        ({"longest": 21}, r"task\.subject\.longest=21 must be a whole number from 1 to 20: "),
        ({"shortest": 11}, r"task\.subject\.shortest=11 must be a whole number from 1 to 10: "),
        ({"modulus": True}, r"task\.subject\.modulus=True must be "),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match="^" + message):
        Counting(**arguments)
