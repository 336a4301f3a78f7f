"""A task of one's own, as README.md shows it: one file, and `conf/task/reverse.yaml` beside it."""

import random
from collections.abc import Sequence

from dlmreason.tasks import Form, Problem, PuzzleError, Symmetries, Verdict, content_key

LETTERS = "abcdefgh"


class Reverse:
    """Write a word backwards; difficulty = letters."""

    name, version = "reverse", 1
    symmetries = Symmetries(leakage=("the same word",))

    def __init__(self, *, longest: int = 6) -> None:
        self.longest, self.parameters = longest, {"longest": longest}
        self.form = Form(
            tuple(LETTERS), prompt=longest, thought=2 * longest, answer=longest, ends=True, spaced=False, unique=True
        )

    def draw(self, seed: int, count: int) -> list[Problem]:
        source = random.Random(seed)
        words = ("".join(source.choices(LETTERS, k=source.randint(1, self.longest))) for _ in range(count))
        return [self.problem(word) for word in words]

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """A question; raises PuzzleError for one that is none."""
        if not 0 < len(prompt) <= self.longest or set(prompt) - set(LETTERS):
            raise PuzzleError(f"{prompt[:20]!r} is not a word of 1 to {self.longest} letters from {LETTERS}")
        backwards = prompt[::-1]
        if answer not in ("", backwards):
            raise PuzzleError(f"the answer is wrong: it is {backwards}")
        return Problem(prompt, thought or "".join(letter * 2 for letter in backwards), backwards, len(prompt))

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(prompt) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return first == second

    def judge(self, problem: Problem, answer: str) -> Verdict:
        right = answer == problem.prompt[::-1]
        return Verdict(right, "" if right else f"{answer[:20]!r} is not the word backwards")
