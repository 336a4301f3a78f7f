"""Laws that every subject keeps, to be called by each subject's own tests with what only they know.

A judge is compared with another judge, written independently of it; copies are planted by a function of the test.
"""

import random
import string
import time
from collections.abc import Callable, Sequence

import pytest

from dlmreason.tasks.example import Verdict
from dlmreason.tasks.subject import Problem, Subject, copies
from dlmreason.tasks.vocabulary import Characters, Closed

GOLD = [pytest.param(500, id="few"), pytest.param(10_000, marks=pytest.mark.slow, id="10000")]
CASES = [pytest.param(2_000, id="few"), pytest.param(50_000, marks=pytest.mark.slow, id="50000")]
FUZZ = [pytest.param(3_000, id="few"), pytest.param(100_000, marks=pytest.mark.slow, id="100000")]
PLANTED = 1_000

POISON = (
    "",
    " ",
    "\x00",
    "####",
    "<mask>",
    "9**9**9**9",
    "9**9**9**9=1",
    "(" * 5_000 + "1" + ")" * 5_000,
    "1/0",
    "1/0=0",
    "１２３",  # noqa: RUF001
    "９+９=18",  # noqa: RUF001
    "1_000",
    "٣",
    "1e9",
    "0x10",
    "nan",
    "inf",
    "-0",
    "__import__('os').abort()",
    "9" * 1_000_000,
    "1 " * 500_000,
    "1+" * 500_000,
    "=," * 500_000,
    "a" * 1_000_000,
)


def drawn(subject: Subject, count: int, seed: int = 1) -> list[Problem]:
    """`count` problems, from as many calls of `draw` as that takes."""
    found: list[Problem] = []
    while len(found) < count:
        found += subject.draw(seed, min(count - len(found) + 8, 512))
        seed += 1
    return found[:count]


def vocabulary(subject: Subject, thought: bool = True) -> Closed | Characters:
    form = subject.form
    kind = Closed if form.spaced else Characters
    return kind(form.symbols, form.thought_symbols if thought else ())


def gold_holds(subject: Subject, count: int, thought_is_true: Callable[[Problem], bool]) -> None:
    """Answers are right, thoughts are true, everything fits the form and survives the vocabulary, and a file's or a
    person's question comes out as it was drawn."""
    form = subject.form
    plain, full = vocabulary(subject, thought=False), vocabulary(subject)
    for problem in drawn(subject, count):
        verdict = subject.judge(problem, problem.answer)
        assert verdict == Verdict(True, ""), (problem, verdict)
        text = problem.prompt
        if form.lay is not None:
            text, features = form.lay(problem.prompt)
            assert features.shape == (len(plain.encode(text)), 1 + len(form.feature_sizes)), problem
            longest = form.answer + form.ends
            assert (features >= 0).all() and (features < (longest + 1, *form.feature_sizes)).all(), problem
        assert plain.decode(plain.encode(text)) == text
        assert plain.decode(plain.encode(problem.answer)) == problem.answer
        assert full.decode(full.encode(problem.thought)) == problem.thought
        sizes = [len(full.encode(each)) for each in (text, problem.thought, problem.answer)]
        assert 0 < sizes[0] <= form.prompt and sizes[1] <= form.thought and 0 < sizes[2] <= form.answer, (
            problem,
            sizes,
        )
        assert form.ends or sizes[2] == form.answer, "answers of a subject that does not end them are of one length"
        assert bool(problem.thought) == bool(form.thought)
        if problem.thought:
            assert thought_is_true(problem), problem
    again = drawn(subject, 20)
    assert again == drawn(subject, 20), "a draw is a function of its seed"
    assert again != drawn(subject, 20, seed=2)
    for problem in again:
        asked = subject.problem(problem.prompt, problem.thought, problem.answer)
        assert (asked.prompt, asked.thought, asked.answer) == problem[:3]


def judges_agree(
    subject: Subject,
    other: Callable[[str, str], bool],  # (prompt, answer) -> right
    wrong: Callable[[Problem, random.Random], str],  # an answer near a right one; it may be right too
    cases: int,
) -> None:
    """The judge and another one say the same of right answers, of answers near them, and of other problems' answers.

    Both verdicts must occur, or the comparison says little.
    """
    source, problems = random.Random(7), drawn(subject, max(cases // 8, 50), seed=3)
    seen = {True: 0, False: 0}
    for case in range(cases):
        problem = problems[case % len(problems)]
        answer = (
            problem.answer
            if case % 8 == 0
            else source.choice(problems).answer
            if case % 8 == 1
            else wrong(problem, source)
        )
        verdict = subject.judge(problem, answer)
        assert verdict.correct == other(problem.prompt, answer), (problem, answer, verdict)
        assert verdict.correct == (verdict.reason == ""), verdict
        seen[verdict.correct] += 1
    assert min(seen.values()) >= cases // 20, seen


def never_raises(subject: Subject, cases: int) -> None:
    """Whatever the text, a verdict; poison is wrong, and at once."""
    source, problems = random.Random(11), drawn(subject, 50, seed=5)
    everything = [*vocabulary(subject).symbols, *string.printable, "é", "９", "\x00", "\u2028", "𝟙"]  # noqa: RUF001
    own = [*subject.form.symbols] * 2 + everything
    for case in range(cases):
        problem = problems[case % len(problems)]
        symbols = source.choices(own if case % 2 else everything, k=source.randrange(2 * subject.form.answer + 8))
        if case % 3 == 0:  # a right answer with a few symbols changed
            symbols = problem.answer.split(" ") if subject.form.spaced else list(problem.answer)
            for _ in range(source.randrange(1, 4)):
                symbols[source.randrange(len(symbols))] = source.choice(everything)
        verdict = subject.judge(problem, (" " if subject.form.spaced or case % 5 == 0 else "").join(symbols))
        assert isinstance(verdict.correct, bool) and len(verdict.reason) < 300, verdict
    for poison in POISON:
        verdict = at_once(lambda poison=poison: subject.judge(problems[0], poison), poison[:40])
        assert not verdict.correct and 0 < len(verdict.reason) < 300, (poison[:40], verdict)


def at_once(judge: Callable[[], Verdict], what: str, seconds: float = 0.1) -> Verdict:
    """The verdict, which takes less than that of the processor, in the best of three tries: others may have the
    machine too."""
    for _ in range(3):
        started = time.process_time()
        verdict = judge()
        if time.process_time() - started < seconds:
            return verdict
    raise AssertionError(f"a verdict on {what!r} takes more than {seconds} s")


def copies_are_found(
    subject: Subject,
    copied: Callable[[str, random.Random], str],  # a prompt's copy under the leakage symmetries
    unrelated: Callable[[Sequence[Problem]], Sequence[tuple[str, str]]] | None = None,
) -> None:
    """Planted copies are found, none missed; unrelated pairs are not flagged.

    unrelated: pairs that must not be flagged, near ones best; by default problems drawn from another seed, less those
    that are the same text.
    """
    source = random.Random(13)
    problems = drawn(subject, PLANTED, seed=17)
    prompts = [problem.prompt for problem in problems]
    planted = [copied(prompt, source) for prompt in prompts]
    assert sum(prompt != copy for prompt, copy in zip(prompts, planted, strict=True)) > PLANTED // 2
    found = set(copies(subject, prompts, planted))
    assert all((place, place) in found for place in range(PLANTED))
    assert list(subject.keys(prompts)) == list(subject.keys(planted))
    pairs = unrelated(problems) if unrelated else []
    assert not any(subject.same(*pair) for pair in pairs)
    if unrelated is None:
        others = [problem.prompt for problem in drawn(subject, PLANTED, seed=170_000)]
        flagged = copies(subject, prompts, others)
        assert len(flagged) <= PLANTED // 100, flagged[:5]
