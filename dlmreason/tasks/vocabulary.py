"""Symbols to ids and back.

This file decides how texts of a closed alphabet become ids. It knows no task and no model. A text is symbols joined by
single spaces; the round trip of text and of ids is a law.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

MARKER = "####"
"""Stands between what comes before an answer and the answer."""

WAIT = "<wait>"
"""In a thought: the step before was wrong, and is taken back."""


class Vocabulary(Protocol):
    """What a model's side may ask of a vocabulary; `mask_id` is the last id and is never emitted by a network."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The text of each id."""
        ...

    @property
    def size(self) -> int: ...
    @property
    def mask_id(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def eos_id(self) -> int: ...
    @property
    def marker_id(self) -> int: ...
    @property
    def wait_id(self) -> int | None:
        """None: thoughts of this alphabet take nothing back in so many words."""
        ...

    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Iterable[int]) -> str: ...
    def symbol(self, id: int) -> str: ...
    def with_wait(self) -> "Vocabulary":
        """The same ids, WAIT as one symbol more, and the mask last again."""
        ...


class Closed:
    """A closed alphabet: ids in the order given, then the marker, pad, eos, the symbols of thoughts alone, and mask
    last.
    """

    def __init__(self, symbols: Sequence[str], thought_symbols: Sequence[str] = ()) -> None:
        self.symbols: tuple[str, ...] = (*symbols, MARKER, "<pad>", "<eos>", *thought_symbols, "<mask>")
        self._ids = {symbol: id for id, symbol in enumerate(self.symbols)}
        bad = [symbol for symbol in self.symbols if symbol.split() != [symbol]]
        if bad or len(self._ids) < len(self.symbols):
            raise ValueError(
                f"symbols={[*symbols, *thought_symbols]} must differ from each other and from {MARKER}, <pad>, <eos> "
                f"and <mask>, and hold at least one letter and no space: rename those that do not"
            )
        self.marker_id = len(symbols)
        self.pad_id = self.marker_id + 1
        self.eos_id = self.marker_id + 2
        self.mask_id = len(self.symbols) - 1
        self.size = len(self.symbols)
        self.wait_id = self._ids.get(WAIT)

    def with_wait(self) -> "Closed":
        return Closed(*_with_wait(self))

    def encode(self, text: str) -> list[int]:
        """The ids of a text.

        Raises: ValueError naming the first symbol that the alphabet lacks, and its place counted from 1.
        """
        ids = []
        for place, symbol in enumerate(text.split(" ") if text else [], start=1):
            if symbol not in self._ids:
                raise ValueError(f"symbol {place} of the text is {symbol!r}; the alphabet is {' '.join(self.symbols)}")
            ids.append(self._ids[symbol])
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, special symbols written out as <pad>, <eos>, <mask>."""
        return " ".join(self.symbol(int(id)) for id in ids)

    def symbol(self, id: int) -> str:
        """The symbol of one id.

        Raises: ValueError for an id outside 0 ... size - 1.
        """
        if not 0 <= id < self.size:
            raise ValueError(f"id {id} is outside this vocabulary: ids are 0 to {self.size - 1}")
        return self.symbols[id]


class Characters:
    """A closed alphabet of single characters, joined by nothing; spaces and line ends may be among them.

    Ids as in `Closed`. Special symbols read as ####, <pad>, <eos>, <mask>, and are found before their characters are.
    """

    def __init__(self, symbols: Sequence[str], thought_symbols: Sequence[str] = ()) -> None:
        self.symbols: tuple[str, ...] = (*symbols, MARKER, "<pad>", "<eos>", *thought_symbols, "<mask>")
        self._ids = {symbol: id for id, symbol in enumerate(self.symbols)}
        bad = [symbol for symbol in (*symbols, *thought_symbols) if len(symbol) != 1 and symbol != WAIT]
        if bad or len(self._ids) < len(self.symbols):
            raise ValueError(f"symbols={[*symbols, *thought_symbols]} must be single characters that differ")
        self.marker_id = len(symbols)
        self.pad_id = self.marker_id + 1
        self.eos_id = self.marker_id + 2
        self.mask_id = len(self.symbols) - 1
        self.size = len(self.symbols)
        self.wait_id = self._ids.get(WAIT)
        signs = [MARKER, "<pad>", "<eos>", "<mask>", *[WAIT] * (self.wait_id is not None)]
        self._parts = re.compile("|".join([*signs, "."]), re.DOTALL)

    def with_wait(self) -> "Characters":
        return Characters(*_with_wait(self))

    def encode(self, text: str) -> list[int]:
        """The ids of a text.

        Raises: ValueError naming the first character that the alphabet lacks, and its place counted from 1.
        """
        ids = []
        for part in self._parts.finditer(text):
            if part[0] not in self._ids:
                raise ValueError(
                    f"character {part.start() + 1} of the text is {part[0]!r}; the alphabet is "
                    f"{''.join(symbol for symbol in self.symbols if len(symbol) == 1)!r}"
                )
            ids.append(self._ids[part[0]])
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, special symbols written out as ####, <pad>, <eos>, <mask>."""
        return "".join(self.symbol(int(id)) for id in ids)

    def symbol(self, id: int) -> str:
        """The symbol of one id.

        Raises: ValueError for an id outside 0 ... size - 1.
        """
        if not 0 <= id < self.size:
            raise ValueError(f"id {id} is outside this vocabulary: ids are 0 to {self.size - 1}")
        return self.symbols[id]


def _with_wait(vocabulary: Closed | Characters) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Symbols and thought symbols of the alphabet with WAIT."""
    symbols = vocabulary.symbols
    return symbols[: vocabulary.marker_id], (*symbols[vocabulary.eos_id + 1 : vocabulary.mask_id], WAIT)
