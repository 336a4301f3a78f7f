"""Questions of a file that need no code, and the rule by which two texts are one number."""

import random
from decimal import Decimal

import pytest

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.subject import Problem, copies
from dlmreason.tasks.text import Text, number
from tests.tasks import laws

WORDS = ("Which", "river", "Straße", "ÉTÉ", "runs", "through", "the", "town", "of", "Ölgasse", "and", "why", "?", "7")


class Asked(Text):
    """Text with questions of its own, so that the laws have some to ask."""

    def draw(self, seed, count):
        source, numbers = random.Random(f"asked/{seed}"), self.parameters["judge"] == "number"
        return [self._one(source, numbers) for _ in range(count)]

    def _one(self, source, numbers):
        prompt = " ".join(source.choices(WORDS, k=12))
        answer = f"{source.randrange(4, 99_999) * source.choice((1, -1))}{source.choice(('', '.5', '.25'))}"
        return Problem(prompt, "", answer if numbers else " ".join(source.choices(WORDS, k=3)), -1)


EXACT, NUMBER = Asked(), Asked(judge="number", name="sums")


def spelled(problem, source):
    """A number near the right one, or the right one spelled in another way."""
    value = Decimal(problem.answer) + source.choice((0, 0, 0, 1, Decimal("0.01")))
    sign, size = "-" * (value < 0), abs(value)
    whole = source.choice((f"{size:f}", f"{size:,f}", f"{size:.3f}", f"{size:f}."))
    front = source.choice((sign, f"{sign}$", f"${sign}", f"{sign} ", "--", "$$"))
    return source.choice(("", " ", "\n")) + front + whole + source.choice(("", "", " ", "%", " eggs", "0", "."))


def second_number(text):
    """The number that a text is, read letter by letter, and by decimal; or None."""
    text = text.strip()
    for front in ("$-", "-$", "$+", "+$", "$", "-", "+", ""):
        if text.startswith(front):
            break
    negative, text = "-" in front, text[len(front) :]
    whole, _, rest = text.partition(".")
    groups = whole.split(",")
    if not set(whole + rest) <= set("0123456789,") or "," in rest or not (whole or rest):
        return None
    if len(groups) > 1 and (not 1 <= len(groups[0]) <= 3 or any(len(group) != 3 for group in groups[1:])):
        return None
    return Decimal(f"{'-' * negative}{''.join(groups) or '0'}.{rest or '0'}")


@pytest.mark.parametrize("cases", laws.CASES)
def test_numbers_are_judged_as_by_another_judge(cases):
    gold = {}

    def right(prompt, answer):
        return second_number(answer) is not None and second_number(answer) == gold[prompt]

    def wrong(problem, source):
        return spelled(problem, source)

    problems = laws.drawn(NUMBER, max(cases // 8, 50), seed=3)
    gold |= {problem.prompt: Decimal(problem.answer) for problem in problems}
    assert len(gold) == len(problems)
    laws.judges_agree(NUMBER, right, wrong, cases)


@pytest.mark.parametrize("cases", laws.CASES)
def test_texts_are_judged_as_by_another_judge(cases):
    gold = {problem.prompt: problem.answer for problem in laws.drawn(EXACT, max(cases // 8, 50), seed=3)}

    def wrong(problem, source):
        answer = source.choice(("", " ", "\n\n")) + problem.answer + source.choice(("", "\t", " "))
        return answer if source.random() < 0.5 else answer.replace(" ", source.choice(("  ", "", "_")), 1)

    laws.judges_agree(EXACT, lambda prompt, answer: answer.strip() == gold[prompt], wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
@pytest.mark.parametrize("subject", [EXACT, NUMBER], ids=["exact", "number"])
def test_the_judge_never_raises(subject, cases):
    laws.never_raises(subject, cases)


def test_copies_are_found():
    def copied(prompt, source):
        cased = "".join(source.choice((letter.upper(), letter.lower(), letter)) for letter in prompt)
        return source.choice(("", " ")) + cased.replace(" ", source.choice((" ", "\n", "\t  ")), 3)

    def near(problems):
        return [(each.prompt, each.prompt.replace(" ", "", 1)) for each in problems] + [
            (each.prompt, f"{each.prompt} ?") for each in problems
        ]

    laws.copies_are_found(EXACT, copied, near)
    laws.copies_are_found(EXACT, copied)
    assert copies(EXACT, ["Straße 1", "a b"], ["STRASSE\n1", "ab"]) == [(0, 0)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, 1234) for text in ("1234", "1,234", "$1,234", "1234.", "1234.00", "+1234", " 1234\n", "01234")),
        *((text, -5) for text in ("-5", "-$5", "$-5", "-5.0")),
        *((text, Decimal("0.5")) for text in (".5", "0.50", "$.5")),
        ("-0", 0),
        ("12,345,678.9", Decimal("12345678.9")),
    ],
)
def test_what_is_a_number(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "5%", "5 eggs", "five", "1/2", "2*9", "1e3", "12$", "$", "$$5", "--5", "-$-5", "- 5", "$ 5", "1,23"),
        *("1234,567", ",123", "1.2.3", ".", "-", "1 234", "5..", "\uff11\uff12", "\u0663", "1_0", "0x1", "\u22125"),
        *("9" * 31, " " * 200 + "5"),
    ],
)
def test_what_is_no_number(text):
    assert number(text) is None


def test_verdicts_say_what_and_where():
    exact, numbers = Text(), Text(judge="number")
    known, asked = Problem("p", "", "red deer", -1), Problem("p", "", "", -1)
    assert exact.judge(known, " red deer\n") == Verdict(True, "")
    assert exact.judge(known, "red dear") == Verdict(False, "'ar' at character 7, where 'er' is right")
    assert exact.judge(known, "red") == Verdict(False, "'' at character 4, where ' deer' is right")
    assert exact.judge(known, "x" * 117) == Verdict(False, "117 characters are too many")
    assert exact.judge(asked, "") == numbers.judge(asked, "") == Verdict(False, "no right answer is known")
    known = Problem("p", "", "1,234", -1)
    assert numbers.judge(known, "$1234.0") == Verdict(True, "")
    assert numbers.judge(known, "1235") == Verdict(False, "1235 is not 1,234")
    assert numbers.judge(known, "1234 eggs") == Verdict(False, "'1234 eggs' is no number")
    wide = Problem("p", "", "\U000e0001" * 40, -1)
    assert len(exact.judge(wide, "\U000e0002" * 40).reason) < 300


def test_questions_are_taken_as_they_are():
    assert Text().problem("a  b", "so", " c") == Problem("a  b", "so", " c", -1)
    assert Text(judge="number").problem("a", "", "$5").answer == "$5"
    assert Text(judge="number").problem("a").answer == "", "a person's question, to which nobody knows the answer"
    assert Text().draw(0, 10) == []


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("",), "the prompt is empty"),
        ((" \n",), "the prompt is empty"),
        (("a\ud800",), "the prompt has an unpaired surrogate at character 2"),
        (("a", "\udfff"), "the thought has an unpaired surrogate at character 1"),
        (("a", "", "b\ud800"), "the answer has an unpaired surrogate at character 2"),
        (("a", "", "five"), "the answer 'five' is no number, and task.subject.judge=number compares these"),
    ],
)
def test_questions_that_cannot_be_asked(texts, reason):
    with pytest.raises(PuzzleError) as error:
        Text(judge="number").problem(*texts)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"judge": "fuzzy"}, r"task\.subject\.judge=fuzzy must be exact or number"),
        ({"judge": None}, r"task\.subject\.judge=None must be"),
        ({"name": ""}, r"task\.subject\.name= must be letters"),
        ({"name": "a/b"}, r"task\.subject\.name=a/b must be"),
        ({"name": 5}, r"task\.subject\.name=5 must be"),
        ({"name": "é"}, r"task\.subject\.name=é must be"),
    ],
)
def test_arguments_that_cannot_be(arguments, says):
    with pytest.raises(ValueError, match=says):
        Text(**arguments)


def test_names_and_parameters():
    assert NUMBER.name == "sums" and dict(NUMBER.parameters) == {"name": "sums", "judge": "number"}
