"""Drawn problems, kept in a folder for the next run.

This file decides what makes stored rows still the right ones: the key that they were drawn for, the text of every
source file that draws them, and the version of every installed package which these import. It knows no subject and no
split. What it cannot see are files that a subject reads while it draws.

A store is a folder, <subject>-<fingerprint>, with the rows (an Arrow stream, read through `datasets` without loading
it) and a manifest. It comes whole or not at all, and a damaged one is noticed and made again.
"""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import re
import secrets
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, overload

from dlmreason import disk
from dlmreason.tasks.subject import Problem, Subject

FORMAT = 1
"""To be raised by any change of what lies in a store."""

BLOCK = 1_000
"""Rows that are written and fetched at once."""

HASHED = 200 * 2**20
"""Bytes up to which a store's rows are read and hashed before they are used; of larger ones the size is compared."""

ROWS, MANIFEST = "rows.arrow", "manifest.json"

Source = ModuleType | Path | str
"""A module, a source file, or a package with its version."""


class Stored(Sequence[Problem]):
    """Problems on disk."""

    def __init__(self, rows: Any) -> None:
        """rows: a datasets.Dataset with a column for each field of a problem."""
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> list[Problem]: ...
    def __getitem__(self, index: int | slice) -> Problem | list[Problem]:
        if not isinstance(index, slice):
            return Problem(**self._rows[range(len(self))[index]])
        places = range(len(self))[index]
        if places.step == 1:
            return list(self._between(places.start, places.stop))
        return list(itertools.chain.from_iterable(_problems(self._rows[part]) for part in _blocks(list(places))))

    def __iter__(self) -> Iterator[Problem]:
        return self._between(0, len(self))

    def _between(self, first: int, end: int) -> Iterator[Problem]:
        for start in range(first, end, BLOCK):
            yield from _problems(self._rows[start : min(start + BLOCK, end)])


def stored(
    folder: Path, key: Mapping[str, str | int], sources: Sequence[Source], make: Callable[[], Sequence[Problem]]
) -> Sequence[Problem]:
    """What `make` gives, from the folder if it was made before, for the same key and by the same sources.

    Where it cannot be stored it is given as it was made, with a warning that says why.
    key: `subject` in it names the store for a person.
    Raises: ValueError for a folder that cannot be one, or a source that cannot be read.
    """
    name, texts = re.sub("[^A-Za-z0-9_-]", "_", str(key.get("subject", ""))), [_text(source) for source in sources]
    place = folder / f"{name}-{fingerprint(key, texts)[:32]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"task.cache={folder} must be a folder that can be written: {error.strerror}") from error
    try:
        return _opened(place)
    except FileNotFoundError:
        pass
    except DamagedError as error:
        warnings.warn(f"task.cache: {place} is damaged ({error}) and is made again", stacklevel=2)
    if edited := [source.__name__ for source in sources if isinstance(source, ModuleType) and _edited(source)]:
        warnings.warn(f"task.cache: {', '.join(edited)} changed since it was loaded, nothing is stored", stacklevel=2)
        return make()
    problems = make()
    try:
        _store(place, problems, {"key": dict(key), "sources": [_name(source) for source in sources]})
        return _opened(place)
    except (OSError, ValueError, DamagedError) as error:  # a full disk; half of a surrogate pair
        warnings.warn(f"task.cache: {place} cannot be stored ({error})", stacklevel=2)
        return problems


def sources_of(subject: Subject) -> list[Source]:
    """What decides which problems a split of the subject has: its module and those that it imports, however far.

    Installed packages stand for themselves with their version; the subject's own package is read, as are files that
    were never installed.  Raises: ValueError where there is no file, as for a class that was typed in.
    """
    first = [kind.__module__ for kind in type(subject).__mro__ if not _standard(kind.__module__)]
    own = {"dlmreason", *(name.partition(".")[0] for name in first)}
    found: dict[str, Source] = {}
    waiting = [*first, "dlmreason.tasks.drawn"]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in found or _standard(top):
            continue
        if top not in own and _installed(top):
            found[top] = f"{top} {_version(top)}"
            continue
        file = _file(name)
        if file is not None and file.suffix == ".py":
            found[name] = sys.modules.get(name, file)
            waiting += _imported(file.read_bytes(), name, is_package=file.name == "__init__.py")
        elif name in first:
            raise ValueError(
                f"task.cache: the source of {name} cannot be read, so its changes would go unnoticed: "
                f"write the subject into a file, or set task.cache=null"
            )
    return [found[name] for name in sorted(found)]


def fingerprint(key: Mapping[str, str | int], texts: Sequence[bytes]) -> str:
    """SHA-256 over what decides the rows; the order of sources does not."""
    hashes = sorted(hashlib.sha256(text).hexdigest() for text in texts)
    return hashlib.sha256(json.dumps([FORMAT, Problem._fields, sorted(key.items()), hashes]).encode()).hexdigest()


class DamagedError(Exception):
    """A store that cannot be used."""


def _opened(place: Path) -> Stored:
    """Raises: FileNotFoundError where there is no store, DamagedError with what is wrong with it."""
    if not place.exists():
        raise FileNotFoundError(place)
    import datasets

    path = place / ROWS
    try:
        manifest = json.loads((place / MANIFEST).read_bytes())
        size, hashed, count = manifest["bytes"], manifest["sha256"], manifest["rows"]
        if path.stat().st_size != size:
            raise DamagedError(f"{ROWS} has {path.stat().st_size:,} bytes, not {size:,}")
        if size <= HASHED and _sha256(path) != hashed:
            raise DamagedError(f"{ROWS} is not what was written")
        rows = datasets.Dataset.from_file(str(path))
        if len(rows) != count or tuple(rows.column_names) != Problem._fields:
            raise DamagedError(f"{ROWS} has {len(rows):,} rows of {rows.column_names}, not {count:,}")
    except (OSError, ValueError, KeyError, TypeError) as error:  # pyarrow's errors are among these
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    return Stored(rows)


def _store(place: Path, problems: Sequence[Problem], about: Mapping[str, object]) -> None:
    """Puts a store in place, unless another process was quicker. Raises: OSError."""
    beside = f".{place.name}.{os.getpid()}.{secrets.token_hex(4)}"
    made, broken = place.with_name(f"{beside}.part"), place.with_name(f"{beside}.damaged")
    try:
        made.mkdir()
        _write(made / ROWS, problems)
        manifest = {"rows": len(problems), "bytes": (made / ROWS).stat().st_size, "sha256": _sha256(made / ROWS)}
        disk.write(made / MANIFEST, json.dumps({**manifest, **about}, indent=1))
        if place.exists():
            try:
                _opened(place)
                return
            except DamagedError:
                place.rename(broken)
        try:
            made.rename(place)
        except OSError:
            if not place.is_dir():
                raise
        disk.sync(place.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(broken, ignore_errors=True)


def _write(path: Path, problems: Sequence[Problem]) -> None:
    import pyarrow  # type: ignore[import-untyped]

    kinds = {name: pyarrow.int64() if name == "difficulty" else pyarrow.string() for name in Problem._fields}
    schema = pyarrow.schema(list(kinds.items()))
    with path.open("wb") as file:
        with pyarrow.ipc.new_stream(file, schema) as stream:
            for block in _blocks(problems):
                columns = zip(zip(*block, strict=True), schema.types, strict=True)
                arrays = [pyarrow.array(values, kind) for values, kind in columns]
                stream.write_batch(pyarrow.record_batch(arrays, schema=schema))
        file.flush()
        os.fsync(file.fileno())


def _blocks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))


def _problems(columns: Mapping[str, list[Any]]) -> Iterator[Problem]:
    return map(Problem._make, zip(*(columns[name] for name in Problem._fields), strict=True))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(source: Source) -> str:
    return source.__name__ if isinstance(source, ModuleType) else getattr(source, "name", str(source))


def _text(source: Source) -> bytes:
    if isinstance(source, str):
        return source.encode()
    path = _file(source.__name__) if isinstance(source, ModuleType) else source
    if path is None:
        raise ValueError(f"task.cache: {source} has no source file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"task.cache: the source {path} cannot be read: {error.strerror}") from error


def _edited(module: ModuleType) -> bool:
    """Whether a function of the module is another one than in its file, which was edited since it was loaded."""
    path = _file(module.__name__)
    if path is None:
        return True
    try:
        written = set(_codes(compile(path.read_bytes(), str(path), "exec", dont_inherit=True)))
    except (OSError, SyntaxError, ValueError):
        return True
    members = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    members += [value for member in members if isinstance(member, type) for value in vars(member).values()]
    for member in members:
        for name in ("fget", "func", "__func__"):  # of properties, cached properties, static and class methods
            member = getattr(member, name, None) or member
        code = getattr(member, "__code__", None)
        if isinstance(code, CodeType) and code.co_filename == module.__file__ and code not in written:
            return True
    return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _imported(text: bytes, name: str, is_package: bool) -> Iterator[str]:
    """Names of what a module imports, anywhere in it; some of them may be names of what is in a module."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _file(name: str) -> Path | None:
    """The file of a module; None where there is no such module, or it has no file."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
        return Path(file) if file else None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # what stands before the last dot is no package
        return None
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names and name != "__main__"


def _installed(top: str) -> bool:
    file = _file(top)
    return file is not None and not {"site-packages", "dist-packages"}.isdisjoint(file.parts)


@functools.cache
def _version(top: str) -> str:
    """The version of the distribution that a package came with."""
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:  # such as pysat, of python-sat
        names = importlib.metadata.packages_distributions().get(top, [])
        return " ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names)))
