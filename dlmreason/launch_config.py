"""A command line and a tree of config files into settings, or into everything that is wrong with them.

Hydra reports the first thing that it cannot use, in its own words, and lets a number through whatever its size. This
file decides how a command line is checked whole before any work: each override by itself, then the composed settings by
the rules. It is the only one beside the entry points that knows Hydra, and it writes nothing.
"""

import argparse
import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir, version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from dlmreason.launch_rules import BadInput, Rule, Settings, broken, nearest, refusal, rule_for, shown, walk

VERSION = "1.3"
"""The Hydra whose defaults hold."""

QUIET = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none")
"""Hydra makes no folder, no log file and no copy of the config: a run's own folder holds all of it, once the input is
good."""

Check = Callable[[Settings], Iterable[str]]
"""What holds between settings: a message for each thing that does not."""


@dataclass(frozen=True)
class Command:
    """A command line as Hydra's own parser reads it."""

    read: argparse.Namespace
    parser: argparse.ArgumentParser

    @property
    def sweep(self) -> bool:
        """-m: one job for each combination."""
        return bool(self.read.multirun)

    @property
    def completes(self) -> bool:
        """A shell asks for tab completion."""
        return bool(self.read.shell_completion)


def read_command(argv: Sequence[str]) -> Command:
    """Options and overrides may stand in any order. Raises: SystemExit(2) for an unknown option, as argparse does."""
    parser = get_args_parser()
    return Command(parser.parse_intermixed_args(list(argv)), parser)


def call_hydra(command: Command, tree: "Tree", job: Callable[[Settings], object]) -> None:
    """Does what the command line asks of Hydra: calls `job` with the settings of each job, or shows help.

    `hydra.main` would read `sys.argv`, where ours and the person's overrides cannot be told apart from options; so what
    it calls is called. Ours come first: the person's own words win.
    """

    def function(config: DictConfig) -> object:
        return job(plain(config))

    version.setbase(VERSION)
    with tempfile.TemporaryDirectory() as folder, _hydra_raises():
        ours = [*QUIET, f"hydra.sweep.dir={folder}", f"hydra.job.name={tree.config_name}"]
        read = argparse.Namespace(**vars(command.read) | {"overrides": [*ours, *command.read.overrides]})
        _run_hydra(read, command.parser, function, str(tree.folders[0].absolute()), tree.config_name)


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Hydra prints an error and ends the process, unless this variable is set: then it raises it."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        del os.environ["HYDRA_FULL_ERROR"]
        if before is not None:
            os.environ["HYDRA_FULL_ERROR"] = before


def plain(config: DictConfig) -> Settings:
    """The settings as plain containers, interpolations resolved; Hydra's own part is left out.

    Raises: BadInput for a value that is still to be given, or an interpolation that leads nowhere.
    """
    try:
        missing = [key for key in OmegaConf.missing_keys(config) if not key.startswith("hydra.")]
        settings = None if missing else OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise BadInput(f"{error.full_key}: {_first_line(error)}") from error
    if missing:
        raise BadInput(*(f"{key}: needs a value: add {key}=..." for key in sorted(missing)))
    assert isinstance(settings, dict)
    settings.pop("hydra", None)
    return {str(name): value for name, value in settings.items()}


class Tree:
    """A folder of config files, its primary config, and what a person may say to it."""

    def __init__(self, folder: Path, config_name: str, config_dir: str | None = None):
        self.config_name = config_name
        self.folders = [folder, *([Path(config_dir).absolute()] if config_dir else [])]
        for place in self.folders:
            if not place.is_dir():
                raise BadInput(f"{place}: there is no such folder of config files")
        if not (folder / f"{config_name}.yaml").is_file():
            raise BadInput(f"{folder}: there is no {config_name}.yaml")
        self._always = [f"hydra.searchpath=[file://{place}]" for place in self.folders[1:]]
        self._bases: dict[tuple[str, ...], Settings] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hydra keeps one tree per process: the block in which it is this one."""
        with initialize_config_dir(str(self.folders[0].absolute()), version_base=VERSION):
            yield

    def settings(self, overrides: Sequence[str], rules: Mapping[str, Rule], checks: Sequence[Check]) -> Settings:
        """What one job is told. Within `open` only.

        Raises: BadInput with everything that is wrong.
        """
        choices, values, problems = self._sort(overrides)
        known = dict(walk(self._base(tuple(choices))))
        misled = bool(problems)  # a key may be unknown only because its file was
        usable = list(choices)
        for override in values:
            key = override.key_or_group
            if misled and key not in known and key.partition(".")[0] in known:
                continue
            wrong = list(self._wrong_value(override, known, rules))
            problems += wrong
            usable += [] if wrong else [override.input_line or ""]
        composed = self._composed(tuple(usable))
        raw = _unresolved(composed)
        problems += broken(raw, rules, {key for key, value in walk(raw) if is_open(value)})
        try:
            settings = plain(composed)
        except BadInput as error:
            problems += error.problems
        if not problems:
            problems += unusable(settings, rules, checks)
        if problems:
            raise BadInput(*problems)
        return settings

    def jobs(self, command: Command) -> list[tuple[str, ...]]:
        """The overrides of each job of a sweep; of the one job where there is no sweep.

        What only a sweeper can draw, an interval for one, is left out: such jobs are checked as they come.
        """
        ways: list[list[str]] = []
        for line in command.read.overrides:
            override = _parse(line)
            if override is None or not override.is_sweep_override():
                ways.append([line])
            elif not command.sweep:
                raise BadInput(f"{line}: several values make a sweep, which needs -m; a list is written [a,b,c]")
            elif override.is_choice_sweep() or override.is_range_sweep():
                key = line.partition("=")[0]
                ways.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        return list(itertools.product(*ways))

    def options(self, group: str) -> list[str]:
        """The names that a config group offers, sorted; none when there is no such group."""
        files = [file for folder in self.folders for file in (folder / group).glob("*.yaml")]
        return sorted({file.stem for file in files})

    def groups(self) -> list[str]:
        """The config groups, outermost first."""
        found = {str(file.parent.relative_to(folder)) for folder in self.folders for file in folder.rglob("*.yaml")}
        return sorted(found - {"."}, key=lambda group: (group.count("/"), group))

    def _sort(self, overrides: Sequence[str]) -> tuple[list[str], list[Override], list[str]]:
        """The overrides that choose a config file, those that set a value, and what is wrong with the rest."""
        choices: list[str] = []
        values: list[Override] = []
        problems: list[str] = []
        for line in overrides:
            override = _parse(line)
            if override is None:
                problems.append(f"{line}: cannot be read as key=value; an odd text is quoted twice: 'key=\"a, b\"'")
            elif re.match(r"hydra\b", override.key_or_group):
                choices.append(line)
            elif not self.options(override.key_or_group):
                values.append(override)
            elif wrong := list(self._wrong_choice(override)):
                problems += wrong
            else:
                choices.append(line)
        return choices, values, problems

    def _wrong_choice(self, override: Override) -> Iterator[str]:
        group, value = override.key_or_group, override.value()
        if override.is_delete():
            return
        if override.is_add() and group in self._defaults():
            yield f"{override.input_line}: write it without the +"
        options = self.options(group)
        for name in value if isinstance(value, list) else [value]:
            if str(name) not in options:
                near = nearest(str(name), options)
                yield refusal(group, name, f"there is no such {group}; there are {', '.join(options)}{near}")

    def _defaults(self) -> set[str]:
        """The groups that the primary config chooses from."""
        config = OmegaConf.load(self.folders[0] / f"{self.config_name}.yaml")
        listed = config.get("defaults", []) if isinstance(config, DictConfig) else []
        keys = (str(key) for entry in listed if isinstance(entry, DictConfig) for key in entry)
        return {key.removeprefix("override ").partition("@")[0].strip("/ ") for key in keys}

    def _wrong_value(self, override: Override, known: Mapping[str, object], rules: Mapping[str, Rule]) -> Iterator[str]:
        key = override.key_or_group
        if key not in known:
            if not (override.is_add() and isinstance(known.get(key.rpartition(".")[0]), dict)):
                yield self._unknown(key, override, known)
        elif override.is_add() and not override.is_force_add():
            yield f"{override.input_line}: the key is there already: write it without the +"
        elif not override.is_delete() and rule_for(key, rules) is None:
            value = override.value()
            if problem := _other_kind(value, known[key], key):
                yield refusal(key, value, problem)

    def _unknown(self, key: str, override: Override, known: Mapping[str, object]) -> str:
        said = key if override.is_delete() else f"{key}={shown(override.value())}"
        top = [name for name in known if "." not in name]
        near = nearest(key, [*known, *self.groups()])
        return f"{said}: there is no such setting{near or '; there are ' + ', '.join(top)}"

    def _base(self, choices: tuple[str, ...]) -> Settings:
        """What the chosen files say before any value is set, interpolations as they are written."""
        if choices not in self._bases:
            self._bases[choices] = _unresolved(self._composed(choices))
        return self._bases[choices]

    def _composed(self, overrides: tuple[str, ...]) -> DictConfig:
        try:
            return compose(self.config_name, [*self._always, *overrides])
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            raise BadInput(_first_line(error)) from error


def unusable(settings: Settings, rules: Mapping[str, Rule], checks: Sequence[Check]) -> Iterator[str]:
    """What is wrong with composed settings: first by the rules, and if they hold, by the checks."""
    problems = list(broken(settings, rules))
    yield from problems
    if not problems:
        yield from itertools.chain.from_iterable(check(settings) for check in checks)


def is_open(value: object) -> bool:
    """Whether a value as it is written is still to be made from others, or to be given."""
    return isinstance(value, str) and ("${" in value or value == "???")


def _unresolved(config: DictConfig) -> Settings:
    written = OmegaConf.to_container(config, resolve=False)
    assert isinstance(written, dict)
    return {str(name): value for name, value in written.items()}


def _parse(line: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(line)
    except HydraException:
        return None


def _other_kind(value: Any, usual: object, key: str) -> str | None:
    """What is expected when `value` is of another kind than the config's own `usual` value; null is no kind."""
    if isinstance(usual, dict) and not isinstance(value, dict | None):
        inside = ", ".join(f"{key}.{name}" for name in usual)
        return f"is a group of settings; set one of {inside}"
    if is_open(usual):
        return None
    kinds = {bool: "true or false", (int, float): "a number", str: "a text", list: "a list, written [a,b,c]"}
    for kind, name in kinds.items():
        if isinstance(usual, kind):  # type: ignore[arg-type]  # bool before int, which it also is
            same = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))  # type: ignore[arg-type]
            return None if same or value is None else f"must be {name} (it is {shown(usual)} otherwise)"
    return None


def _first_line(error: Exception) -> str:
    cause = error.__cause__
    text = str(cause if isinstance(cause, OmegaConfBaseException) and str(cause) else error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
