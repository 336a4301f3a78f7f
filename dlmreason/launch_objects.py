"""Settings into objects: the one place where a `_target_` is followed.

This file decides which targets may be followed and how a wrong argument is reported. A target can run any code, so only
classes and functions below an allow-list of packages are, and the person's own below `trusted`. It knows none of the
objects.
"""

import functools
import importlib
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Union, get_args, get_origin

from dlmreason.launch_rules import BadInput, nearest, shown

OURS = ("dlmreason",)
"""Packages whose classes and functions a config may name; what a person trusts is added."""

LIBRARIES = ("lightning", "torch.optim")
"""Packages whose classes a config may name, and nothing else: some of their functions unpickle files."""


def instantiate(config: Any, key: str = "", trusted: Sequence[str] = (), /, **runtime: Any) -> Any:
    """The object that `config` describes, its parts first; `runtime` are further arguments of the outermost one.

    config: a dict with `_target_`, the dotted path of a class or function, and its arguments by name; `_partial_: true`
    gives
        a functools.partial instead of a call. Other dicts and lists come back with their parts built, plain values as
        they are.
    key: where `config` lies among the settings, for messages.
    trusted: further packages whose targets may be followed.

    Raises: BadInput, with the key in front, when a target is not allowed or not there, when an argument is unknown,
    missing
        or of a wrong type, and when the constructor refuses a value with a ValueError.
    """
    if isinstance(config, list):
        return [instantiate(part, f"{key}.{place}", trusted) for place, part in enumerate(config)]
    if not isinstance(config, dict):
        return config
    given = {name: value for name, value in config.items() if name not in ("_target_", "_partial_")}
    if "_target_" not in config:
        return {name: instantiate(part, _join(key, name), trusted) for name, part in given.items()} | runtime
    target = _follow(config["_target_"], _join(key, "_target_"), trusted)
    partial = config.get("_partial_", False)
    _check_arguments(target, config["_target_"], key, given, runtime, partial)
    arguments = {name: instantiate(part, _join(key, name), trusted) for name, part in given.items()} | runtime
    if partial:
        return functools.partial(target, **arguments)
    with refused(key, ValueError):
        return target(**arguments)


@contextmanager
def refused(key: str, *exceptions: type[Exception]) -> Iterator[None]:
    """Turns `exceptions` that leave the block into bad input about the setting `key`."""
    try:
        yield
    except exceptions as error:
        lines = error.problems if isinstance(error, BadInput) else (str(error),)
        named = (line if not key or line.startswith((f"{key}.", f"{key}=")) else f"{key}: {line}" for line in lines)
        raise BadInput(*named) from error


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _follow(path: object, key: str, trusted: Sequence[str]) -> Callable[..., Any]:
    """The class or function at the dotted `path`, if it may be called."""
    if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")):
        raise BadInput(f"{key}={path}: must be the dotted path of a class or function")
    allowed = (*OURS, *trusted, *LIBRARIES)
    if not _below(path, allowed):
        package = path.partition(".")[0]
        raise BadInput(
            f"{key}={path}: a target can run any code, so only those below {', '.join(allowed)} are followed; "
            f"if {package} is yours, say trusted=[{package}]"
        )
    module, rest = _import_longest(path, key)
    found: Any = module
    for part in rest:
        if not hasattr(found, part) or part.startswith("_"):
            names = [name for name in vars(found) if not name.startswith("_")]
            raise BadInput(f"{key}={path}: {found.__name__} has no {part}{nearest(part, names)}")
        found = getattr(found, part)
    if not callable(found):
        raise BadInput(f"{key}={path}: is no class or function")
    home = getattr(found, "__module__", None) or ""  # where it was written, which a path through an import may hide
    if not _below(home, (*OURS, *trusted)) and not (_below(home, LIBRARIES) and inspect.isclass(found)):
        raise BadInput(
            f"{key}={path}: is from {home or 'elsewhere'}; a target is a class or function of "
            f"{', '.join((*OURS, *trusted))}, or a class of {', '.join(LIBRARIES)}"
        )
    return found


def _below(path: str, packages: Sequence[str]) -> bool:
    return any(f"{path}.".startswith(f"{package}.") for package in packages)


def _import_longest(path: str, key: str) -> tuple[types.ModuleType, list[str]]:
    """The longest importable beginning of `path` as a module, and what is left of the path."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        try:
            return importlib.import_module(name), parts[length:]
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, and something that it imports is not
    raise BadInput(f"{key}={path}: there is no package {parts[0]} to import")


def _check_arguments(
    target: Callable[..., Any], path: str, key: str, given: dict[str, Any], runtime: dict[str, Any], partial: bool
) -> None:
    """Raises BadInput with every argument that `target` does not take, misses, or takes in another type."""
    signature = inspect.signature(target)
    parameters = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind is not parameter.POSITIONAL_ONLY
    }
    named = {name: p for name, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    takes = f"{path} takes ({', '.join(_described(p) for p in named.values())})"
    problems = []
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for name in [*given, *runtime]:
            if name not in named:
                problems.append(f"{_join(key, name)}: no such argument{nearest(name, named)}; {takes}")
    missing = [name for name, p in named.items() if p.default is p.empty and name not in given and name not in runtime]
    if not partial:
        problems += [f"{_join(key, name)}: needs a value; {takes}" for name in missing]
    hints = _hints(target)
    for name, value in given.items():
        if name in hints and not _fits(value, hints[name]):
            problems.append(f"{_join(key, name)}={shown(value)}: must be {_type_name(hints[name])}; {takes}")
    if problems:
        raise BadInput(*problems)


def _described(parameter: inspect.Parameter) -> str:
    """`size: int = 6`, without the default when it is not a plain value."""
    text = parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {_type_name(parameter.annotation)}"
    plain = parameter.default is None or isinstance(parameter.default, bool | int | float | str)
    return f"{text} = {parameter.default!r}" if plain else text


def _type_name(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(repr(value) for value in get_args(annotation))
    return inspect.formatannotation(annotation).replace("collections.abc.", "").replace("NoneType", "None")


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The types of the target's arguments; empty where they cannot be read, and then the constructor is left to
    judge."""
    function = target.__init__ if inspect.isclass(target) and "__init__" in vars(target) else target
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}


def _fits(value: object, hint: Any) -> bool:
    """Whether a plain value may be meant by the type; what is no plain type is left to the constructor."""
    if isinstance(value, dict):
        return hint not in (int, float, str, bool)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if hint is bool or hint is str:
        return isinstance(value, hint)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(value, list):
        inner = [part for part in get_args(hint) if part is not Ellipsis]
        return len(inner) != 1 or all(_fits(item, inner[0]) for item in value)
    return True
