"""Which settings of an arm are tried, which of them is best, and how a run takes it over.

This file decides that every arm has the same number of different trials, drawn by hash from a grid that is declared
before any of them, and how ties are broken. It tries nothing itself, and knows neither torch nor a task.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from dlmreason import launch
from dlmreason.launch_rules import RULES, nearest, refusal, rule_for, walk

RULE = "the most right answers; of equals the fewest FLOPs, then the lowest trial number"


class Space(NamedTuple):
    """The grid of one arm's settings."""

    arm: str
    keys: tuple[str, ...]  # dotted, below the arm
    values: tuple[tuple[Any, ...], ...]  # of each key

    @property
    def size(self) -> int:
        return math.prod(map(len, self.values))

    def point(self, index: int) -> dict[str, Any]:
        """The settings of a number below `size`; the last key turns fastest."""
        chosen = []
        for values in reversed(self.values):
            index, place = divmod(index, len(values))
            chosen.append(values[place])
        return dict(zip(self.keys, reversed(chosen), strict=True))


def spaces_of(settings: Mapping[str, Any]) -> dict[str, Space]:
    """The grid of every arm of an experiment but those whose space is null, which stay as they are.

    Raises: BadInput, with everything that is wrong.
    """
    given, arms, trials = settings["tuning"]["space"], settings["arms"], settings["tuning"]["trials"]
    problems = [
        refusal(f"tuning.space.{arm}", "...", f"there is no such arm; there are {', '.join(arms)}")
        for arm in given
        if arm not in arms
    ]
    spaces = {}
    for arm in arms:
        if given.get(arm, {}) is None:
            continue
        if not given.get(arm):
            problems.append(
                f"tuning.space.{arm}: every arm is tuned with the same number of trials, and this one has no values "
                f"to try: declare lists of them, say null for an arm that is to stay as it is, or leave the arm out "
                f"with ~arms.{arm}"
            )
            continue
        space = _space(arm, given[arm])
        wrong = list(_wrong(space, arms[arm]))
        if not wrong and space.size < trials:
            grid = " x ".join(str(len(each)) for each in space.values)
            wrong = [
                f"tuning.trials={trials}: the space of arm {arm} has {grid} = {space.size} settings: give "
                f"tuning.space.{arm} more values, or lower tuning.trials to {space.size} for every arm, 8 at least"
            ]
        problems += wrong
        spaces[arm] = space
    if problems:
        raise launch.BadInput(*problems)
    if not spaces:
        raise launch.BadInput("tuning.space: every arm is to stay as it is: declare values to try for one at least")
    return spaces


def _space(arm: str, given: Mapping[str, Any]) -> Space:
    leaves = [(key, value) for key, value in walk(given) if not isinstance(value, dict)]
    kept = sorted((key, value) for key, value in leaves if not _inside_a_list(key))
    return Space(arm, tuple(key for key, _ in kept), tuple(tuple(_as_list(value)) for _, value in kept))


def _inside_a_list(key: str) -> bool:
    """Whether `walk` found the key among the parts of a list, where keys are numbers."""
    return any(part.isdigit() for part in key.split("."))


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _wrong(space: Space, arm: Mapping[str, Any]) -> list[str]:
    known, problems = dict(walk(dict(arm))), []
    for key, values in zip(space.keys, space.values, strict=True):
        place = f"tuning.space.{space.arm}.{key}"
        if key not in known:
            problems.append(f"{place}: arm {space.arm} has no such setting{nearest(key, known)}")
        elif isinstance(known[key], dict):
            problems.append(f"{place}: is a group of settings; give lists of values below it")
        elif not values:
            problems.append(f"{place}: must be a list of at least one value, written [a,b,c]")
        elif len({repr(value) for value in values}) < len(values):
            problems.append(f"{place}={list(values)}: holds a value twice, which would be tried twice")
        else:
            rule = rule_for(f"arms.{space.arm}.{key}", RULES)
            said = [(value, rule.check(value)) for value in values] if rule else []
            problems += [refusal(place, value, problem) for value, problem in said if problem]
    return problems


def drawn(space: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """`trials` different settings of a grid, each by the hash of (seed, arm, trial).

    More trials begin with the same ones; as many as the grid has are all of it.
    Raises: ValueError where it has fewer.
    """
    if trials > space.size:
        raise ValueError(f"trials={trials} of arm {space.arm}: its space has {space.size} settings")
    taken: dict[int, None] = {}
    for trial in range(trials):
        numbers = (_number(seed, space.arm, trial, again) % space.size for again in count())
        taken[next(number for number in numbers if number not in taken)] = None
    return [space.point(number) for number in taken]


def _number(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest())


def with_choice(settings: Mapping[str, Any], arm: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with an arm's dotted keys set."""
    return {**settings, "arms": {**settings["arms"], arm: merged(settings["arms"][arm], nested(choice))}}


def nested(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as a tree."""
    tree: dict[str, Any] = {}
    for key, value in choice.items():
        *outer, last = key.split(".")
        place = tree
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = value
    return tree


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`old` with what `new` says, group by group."""
    return {
        **old,
        **{
            key: merged(old[key], value) if isinstance(value, dict) and isinstance(old.get(key), dict) else value
            for key, value in new.items()
        },
    }


def best(trials: Sequence[Any]) -> Any:
    """Of an arm's `records.Trial`s the one that RULE says."""
    return min(trials, key=lambda each: (-each.correct, each.flops, each.trial))


def tuned(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with what `settings["tuned"]`, a tuning.yaml, says of the arms; as they are where it is null.

    Raises: BadInput for a file that cannot be used, or that does not speak of every arm: then some were tuned and
    others not.
    """
    if settings.get("tuned") is None:
        return dict(settings)
    import yaml

    path = Path(settings["tuned"])
    with launch.refused(f"tuned={path}", OSError, yaml.YAMLError):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    chosen = content.get("arms") if isinstance(content, dict) else None
    if not isinstance(chosen, dict) or not all(isinstance(each, dict) for each in chosen.values()):
        raise launch.BadInput(f"tuned={path}: is no tuning.yaml: give a file that `python -m dlmreason.tune` wrote")
    if settings.get("policy"):
        raise launch.BadInput(
            f"tuned={path}: policy={settings['policy']['name']} takes the place of the arms that were tuned: leave one "
            "of them out"
        )
    arms = settings["arms"]
    if chosen.keys() != arms.keys():
        raise launch.BadInput(
            f"tuned={path}: speaks of {', '.join(chosen) or 'no arm'}, and the arms are {', '.join(arms)}: every arm "
            "is tuned or none is; tune this experiment, or leave tuned out"
        )
    known = {arm: dict(walk(arms[arm])) for arm in arms}
    strange = [
        f"tuned={path}: arms.{arm}.{key}: there is no such setting"
        for arm in arms
        for key, _ in walk(chosen[arm])
        if key not in known[arm] and not _inside_a_list(key)
    ]
    if strange:
        raise launch.BadInput(*strange)
    return {**settings, "arms": {arm: merged(arms[arm], chosen[arm]) for arm in arms}}
