"""What a setting may be: rules as plain data, the table of those that every entry point shares, and the refusal itself.

This file decides which values are allowed under which key and how a refusal reads. It knows no Hydra, no file and none
of the objects that the settings build; what depends on an object is said by the object's own constructor.
"""

import math
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any, Protocol

from dlmreason.reports.redaction import shaped

Settings = dict[str, Any]
"""A whole configuration as plain containers: dicts with text keys, lists, text, numbers, booleans, None."""


NEAR = 0.5
"""How alike two words must be, by difflib's ratio, for one to be proposed for the other."""


class BadInput(Exception):
    """A person's input cannot be used: exit code 2, and `problems` are all that is shown, one line each."""

    def __init__(self, *problems: str):
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        return f"{len(self.problems)} settings cannot be used:\n" + "\n".join(f"  {line}" for line in self.problems)


class Rule(Protocol):
    """One kind of value."""

    def check(self, value: object) -> str | None:
        """What is allowed, if `value` is not; None if it is."""


@dataclass(frozen=True)
class Anything:
    """What is checked elsewhere, or is no value itself."""

    def check(self, value: object) -> str | None:
        return None


@dataclass(frozen=True)
class Integer:
    """A whole number within [low, high]; True and 1.0 are none."""

    low: int | None = None
    high: int | None = None

    def check(self, value: object) -> str | None:
        if isinstance(value, int) and not isinstance(value, bool) and _within(value, self.low, self.high):
            return None
        return "must be a whole number" + _range(self.low, self.high)


@dataclass(frozen=True)
class Real:
    """A finite number within [low, high]; `above` and `below` are bounds that it may not reach."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def check(self, value: object) -> str | None:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if number and self._inside(float(value)):  # type: ignore[arg-type]  # number says so
            return None
        bounds = [_range(self.low, self.high)]
        bounds += [f" above {self.above:g}"] if self.above is not None else []
        bounds += [f" below {self.below:g}"] if self.below is not None else []
        return "must be a finite number" + " and".join(bound for bound in bounds if bound)

    def _inside(self, value: float) -> bool:
        above = self.above is None or value > self.above
        below = self.below is None or value < self.below
        return above and below and _within(value, self.low, self.high)


@dataclass(frozen=True)
class Boolean:
    """true or false."""

    def check(self, value: object) -> str | None:
        return None if isinstance(value, bool) else "must be true or false"


@dataclass(frozen=True)
class Text:
    """Any text but the empty one."""

    def check(self, value: object) -> str | None:
        return None if isinstance(value, str) and value else "must be a text"


@dataclass(frozen=True, init=False)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    def __init__(self, *options: str):
        object.__setattr__(self, "options", options)

    def check(self, value: object) -> str | None:
        if isinstance(value, str) and value in self.options:
            return None
        return f"must be one of {', '.join(self.options)}" + nearest(str(value), self.options)


@dataclass(frozen=True)
class Name:
    """A word that is safe as the name of a folder: it leads nowhere else."""

    def check(self, value: object) -> str | None:
        if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
            secret = "looks like a secret, and a name is written everywhere: choose another, and change the secret"
            return secret if shaped(value) else None
        allowed = "must be a name: letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100"
        return allowed + (
            "; this one reads as a number: put a letter in front" if isinstance(value, int | float) else ""
        )


@dataclass(frozen=True)
class Folder:
    """A path to write below: absolute, or below the working directory."""

    def check(self, value: object) -> str | None:
        text = value if isinstance(value, str) else ""
        parts = text.split("/")
        if text.strip("/. ") and ".." not in parts and not text.startswith("~") and text.isprintable():
            return None
        return "must be a folder, absolute or below the working directory, without '..' or '~'"


@dataclass(frozen=True)
class Maybe:
    """What `rule` allows, or null."""

    rule: Rule

    def check(self, value: object) -> str | None:
        problem = None if value is None else self.rule.check(value)
        return problem and f"{problem}, or null"


@dataclass(frozen=True)
class Several:
    """A list of at least `fewest` values that `rule` allows; `increasing`: each above the one before."""

    rule: Rule
    increasing: bool = False
    fewest: int = 1

    def check(self, value: object) -> str | None:
        if not isinstance(value, list) or len(value) < self.fewest:
            return f"must be a list of at least {self.fewest}, written [a,b,c]"
        for item in value:
            if problem := self.rule.check(item):
                return f"holds {shown(item)}: each {problem}"
        pairs = pairwise(value)
        if self.increasing and any(after <= before for before, after in pairs):
            return "must be a list in which each number is above the one before"
        return None


COUNT = Integer(1)
SEED = Integer(0, 2**31 - 1)
SHARE = Real(0, 1)

RULES: dict[str, Rule] = {
    "tuning.space.*": Anything(),
    "name": Name(),
    "output": Folder(),
    "trusted": Several(Name(), fewest=0),
    "seed": SEED,
    "*.seed": SEED,
    "threads": Integer(1, 1024),
    "device": Choice("auto", "cpu", "cuda"),
    "checkpoint": Text(),
    "records": Text(),
    "first": Text(),
    "second": Text(),
    "of": Text(),
    "bar": Maybe(Real()),
    "family": Maybe(Several(Several(Text(), fewest=2))),
    "tolerance": Maybe(Real(0, below=1)),
    "axis": Choice("flops", "depth", "seconds", "latency", "throughput"),
    "temperature": Real(above=0),
    "budget.passes": Integer(1, 2**40),
    "budget.rungs": Maybe(Several(Integer(1, 2**40), increasing=True)),
    "budget.examples": COUNT,
    "budget.split": Choice("test", "validation", "train"),
    "budget.width": Integer(1, 2**16),
    "budget.chunk": Integer(1, 2**20),
    "budget.ar_width": Integer(1, 2**16),
    "budget.ar_chains": COUNT,
    "budget.traces": Integer(0),
    "budget.trace_events": Maybe(Integer(1, 2**40)),
    "budget.time": Boolean(),
    "budget.counters": Boolean(),
    "budget.thoughts": Boolean(),
    "budget.compile": Boolean(),
    "budget.shards": Integer(1, 2**10),
    "budget.mismatch": Maybe(Real(0, below=1)),
    "measure.axis": Choice("answer", "context"),
    "measure.values": Several(COUNT, increasing=True),
    "measure.other": COUNT,
    "measure.symbols": Integer(2, 2**20),
    "measure.batches": Several(COUNT, increasing=True),
    "measure.rounds": COUNT,
    "measure.longest": Real(above=0),
    "measure.against": Text(),
    "measure.clock": Choice("wall", "processor"),
    "detect.counts": Several(COUNT, increasing=True),
    "detect.own": Maybe(Text()),
    "task.size": COUNT,
    "task.clues": Maybe(Several(Integer(0), fewest=2)),
    "task.train_clues": Several(Integer(0), fewest=2),
    "task.*_examples": Maybe(Integer(0)),
    "task.arms": COUNT,
    "task.length": COUNT,
    "task.file": Maybe(Text()),
    "task.train_file": Maybe(Text()),
    "task.validation_file": Maybe(Text()),
    "task.cache": Maybe(Text()),
    "task.source": Maybe(Choice("files", "hub")),
    "task.*_length": Maybe(Integer(0)),
    "task.file_split": Maybe(Choice("all", "hash")),
    "task.thought": Choice("sweep", "solver", "search"),
    "task.on_error": Maybe(Choice("stop", "skip")),
    "trainer.batch_size": COUNT,
    "trainer.optimizer": Choice("adamw", "muon"),
    "trainer.lr": Real(above=0, high=10),
    "trainer.muon_lr": Real(above=0, high=10),
    "trainer.muon_momentum": Real(0, below=1),
    "trainer.weight_decay": Real(0),
    "trainer.warmup": SHARE,
    "trainer.floor": SHARE,
    "trainer.clip": Real(above=0),
    "trainer.ema": Real(0, below=1),
    "trainer.threads": Maybe(Integer(1, 1024)),
    "trainer.ladders": Integer(0),
    "trainer.ladder_examples": COUNT,
    "trainer.checkpoint_every": COUNT,
    "trainer.keep": COUNT,
    "trainer.log_every": COUNT,
    "models.*.updates": Maybe(COUNT),
    "model.updates": Maybe(COUNT),
    "models.*.early_end": Boolean(),
    "model.early_end": Boolean(),
    "models.*.flops": Maybe(Real(above=0)),
    "model.flops": Maybe(Real(above=0)),
    "models.*.match_by": Choice("flops", "examples", "updates"),
    "model.match_by": Choice("flops", "examples", "updates"),
    "*network.num_layers": COUNT,
    "*network.loops": COUNT,
    "*network.mixing": Choice("attention", "mlp"),
    "*network.mixing_width": Integer(0),
    "*network.width": COUNT,
    "*network.num_heads": COUNT,
    "*network.positions": Choice("learned", "rotary"),
    "*objective.lengths": Several(COUNT, fewest=2),
    "*objective.window": COUNT,
    "*policy.temperature": Real(0),
    "*policy.*.temperature": Real(0),
    "arms.*.temperature": Real(above=0),
    "arms.*.passes": Maybe(Integer(1, 2**40)),
    "arms.*.begins": Maybe(Choice("editable", "given")),
    "arms.*.planted": Integer(0, 2**20),
    "arms.*.block_cache": Boolean(),
    "block_cache": Boolean(),
    "*stale_cache.block": COUNT,
    "*stale_cache.refresh": COUNT,
    "*stale_cache.suffix": Boolean(),
    "*draft.block": COUNT,
    "*draft.wrong": Integer(0),
    "*draft.by_position": Boolean(),
    "*policy.reopen": Choice("none", "one", "all"),
    "tuning.trials": Integer(8, 2**20),
    "tuned": Maybe(Text()),
    "by": Choice("flops", "depth", "latency", "throughput"),
    "measured": Maybe(Text()),
    "pace": Maybe(Real(above=0)),
    "logger.mode": Choice("offline", "online", "disabled"),
}
"""What a dotted key may hold. `*` stands for any run of characters; the first pattern that fits decides; an absent key
is fine."""


def rule_for(key: str, rules: Mapping[str, Rule]) -> Rule | None:
    """The first rule whose pattern fits the dotted `key`."""
    return next((rule for pattern, rule in rules.items() if fnmatchcase(key, pattern)), None)


def broken(settings: Settings, rules: Mapping[str, Rule], derived: Container[str] = ()) -> Iterator[str]:
    """Every value that a rule refuses, and every number without a rule that is not finite: one message each.

    derived: keys that are made of others, and not looked at.
    """
    for key, value in walk(settings):
        if key in derived:
            continue
        rule = rule_for(key, rules)
        if rule is None:
            problem = "must be a finite number" if isinstance(value, float) and not math.isfinite(value) else None
        else:
            problem = rule.check(value)
        if problem:
            yield refusal(key, value, problem)


def walk(settings: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each dotted key below `settings` with its value; lists appear whole, and then their own parts, `key.0` and so
    on."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            key = f"{prefix}{name}"
            yield key, value
            yield from walk(value, f"{key}.")
    elif isinstance(settings, list):
        for place, value in enumerate(settings):
            if isinstance(value, dict | list):
                yield from walk(value, f"{prefix}{place}.")


def refusal(key: str, value: object, problem: str) -> str:
    """The one form that a message about a setting has."""
    return f"{key}={shown(value)}: {problem}"


def shown(value: object) -> str:
    """`value` as a person types it on a command line, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = "[" + ",".join(shown(item) for item in value) + "]" if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(word: str, words: Iterable[str]) -> str:
    """ "; nearest: X", X being what the person most likely meant; "" when nothing is near."""
    known = list(dict.fromkeys(words))
    last = word.rpartition(".")[2]
    same = [known_word for known_word in known if known_word.rpartition(".")[2] == last]
    close = same or get_close_matches(word, known, n=1, cutoff=NEAR) or _near_in_last_part(last, known)
    return f"; nearest: {min(close, key=len)}" if close else ""


def _near_in_last_part(last: str, known: list[str]) -> list[str]:
    tails = {word.rpartition(".")[2]: word for word in reversed(known)}
    return [tails[tail] for tail in get_close_matches(last, list(tails), n=1, cutoff=NEAR)]


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of {low} or more"
    return "" if high is None else f" of {high} or less"
