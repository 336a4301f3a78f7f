"""Vocabularies made of training texts, for subjects that have no alphabet of their own.

This file decides how any text becomes ids and comes back unchanged. It knows no task and no model. All of them can
write every text, whatever the training texts held: what is no piece of its own is written in bytes. Ids are the
pieces, then the marker, pad, eos, and mask last. A text that reads like one of these four, such as <eos>, is encoded as
the plain text that it is; ids of the four are decoded as ####, <pad>, <eos>, <mask>.

Builders: `characters`, `byte_pair` [arXiv:1508.07909, over bytes], and `pretrained`, which takes a tokenizer of the
Hugging Face hub instead.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from dlmreason.tasks.vocabulary import MARKER, WAIT, Vocabulary

FORMAT = 1
SPECIAL = (MARKER, "<pad>", "<eos>", "<mask>")
LEAST = 256 + len(SPECIAL)

_PLAIN = [*range(33, 127), *range(161, 173), *range(174, 256)]
_OTHERS = [byte for byte in range(256) if byte not in _PLAIN]
LETTERS = "".join(chr(byte if byte in _PLAIN else 256 + _OTHERS.index(byte)) for byte in range(256))
"""One visible letter for each byte, as the files of byte-level tokenizers have it."""

PROBE = (
    " two  spaces,\n\n\ttabs \r\n and ends ; it's 1,234.50 + <<48/2=24>> = $-7 . ? ! [UNK] <unk> </s> _ \u2581 ## "
    "#### <pad> <eos> <mask> \x00\x01\x1f\x7f\x85\xa0\xad Aa\u00c9e\u0301\u00df\ufb01\u0131 \u0416\u03c9\u05d0\u0663 "
    "\u65e5\u672c\uff11\uff21 \u200b\u200d\u2028\ufeff\ufffd \U0001f469\u200d\U0001f680\U0001f1e9 \U0010ffff  "
)
"""A text that comes back changed from a tokenizer that loses anything of the usual kinds."""


class BytePair:
    """Bytes and what they merge into, in the order of the merges; id b < 256 is byte b.

    merges: pairs of pieces, spelled in `LETTERS`; the earlier one goes first. Every digit stays alone, so that a number
    is written in one way only.
    """

    wait_id: int | None = None

    def __init__(self, merges: Sequence[tuple[str, str]] = ()) -> None:
        from tokenizers import Tokenizer, models

        self.merges = tuple(merges)
        pieces = dict.fromkeys([*LETTERS, *(first + second for first, second in self.merges)])
        ids = {piece: id for id, piece in enumerate(pieces)}
        if unknown := {piece for pair in self.merges for piece in pair} - ids.keys():
            raise ValueError(f"merges of {sorted(unknown)[:3]}, which are no pieces")
        self._pieces = [bytes(map(LETTERS.index, piece)) for piece in pieces]
        self.marker_id, self.pad_id, self.eos_id, self.mask_id = range(len(ids), len(ids) + len(SPECIAL))
        self.size = self.mask_id + 1
        self.symbols: tuple[str, ...] = (*map(_shown, self._pieces), *SPECIAL)
        self._tokenizer = Tokenizer(models.BPE(vocab=ids, merges=list(self.merges)))
        self._tokenizer.pre_tokenizer = _words()

    def with_wait(self) -> "Waiting":
        return Waiting(self)

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises: ValueError for an unpaired surrogate, which is no text."""
        return self._tokenizer.encode(_checked(text), add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; bytes that are none show as U+FFFD."""
        return _decode(
            ids,
            self.marker_id,
            self.symbol,
            lambda run: b"".join(self._pieces[id] for id in run).decode(errors="replace"),
        )

    def symbol(self, id: int) -> str:
        """The text of one id, or its bytes where they are a part of a character.

        Raises: ValueError for an id outside 0 ... size - 1.
        """
        return self.symbols[_inside(id, self.size)]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self._written().encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        Path(path).write_text(self._written(), encoding="utf-8")

    def _written(self) -> str:
        return json.dumps({"format": FORMAT, "kind": "byte_pair", "merges": self.merges}, ensure_ascii=False) + "\n"


def load(path: str | Path) -> BytePair:
    """What `save` wrote. Raises: ValueError for another file."""
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(held, dict) or (held.get("format"), held.get("kind")) != (FORMAT, "byte_pair"):
            raise ValueError(f'"format": {FORMAT} and "kind": "byte_pair" are expected')
        merges = [tuple(pair) for pair in held["merges"]]
        if not all(len(pair) == 2 and all(isinstance(piece, str) and piece for piece in pair) for pair in merges):
            raise ValueError("merges are pairs of texts")
        return BytePair(merges)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no vocabulary that was saved here: {error}") from error


def characters(texts: Iterable[str]) -> BytePair:
    """One id for each character of the texts and each of ASCII; others are written in bytes."""
    merges: dict[tuple[str, str], None] = {}
    held: set[str] = set()
    for text in texts:
        held.update(text)
    for character in sorted(held):
        letters = [LETTERS[byte] for byte in _checked(character).encode()]
        for end in range(1, len(letters)):
            merges["".join(letters[:end]), letters[end]] = None
    return BytePair(tuple(merges))


def byte_pair(texts: Iterable[str], size: int = 4096) -> BytePair:
    """At most `size` ids, special ones included, learned from the texts: the same for the same texts everywhere."""
    if type(size) is not int or not LEAST <= size <= 1 << 20:
        raise ValueError(
            f"task.vocabulary.size={size} must be {LEAST} to {1 << 20}: the bytes and {len(SPECIAL)} special ids are "
            f"always there"
        )
    # Threads are of no use for so little text, and a process that forks after they ran is warned about in every worker.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _words()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL), min_frequency=2, initial_alphabet=[*LETTERS], show_progress=False
    )
    tokenizer.train_from_iterator(map(_checked, texts), trainer)
    return BytePair([(first, second) for first, second in json.loads(tokenizer.to_str())["model"]["merges"]])


class Pretrained:
    """A tokenizer.json file, with special ids of this project's own after its ids."""

    wait_id: int | None = None

    def __init__(self, content: str, name: str) -> None:
        """name: for messages. Raises: ValueError for a file that is none, and for a tokenizer that loses text."""
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_str(content)
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(
                f"task.vocabulary.name={name}: no tokenizer can be made of its tokenizer.json: {error}"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # its own special tokens, too, are plain text in a text
        self._content, self._name = content, name
        self.sha256 = hashlib.sha256(content.encode()).hexdigest()
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        self.marker_id, self.pad_id, self.eos_id, self.mask_id = (
            max(ids, default=-1) + 1 + place for place in range(len(SPECIAL))
        )
        self.size = self.mask_id + 1
        added = [token.content for token in self._tokenizer.get_added_tokens_decoder().values()]
        self.check([PROBE, PROBE.strip(), *PROBE.split(), "".join(added), " ".join(added)])

    def __reduce__(self) -> tuple[type["Pretrained"], tuple[str, str]]:
        """Made anew in another process: the library forgets there that special tokens are plain text."""
        return Pretrained, (self._content, self._name)

    def check(self, texts: Iterable[str]) -> None:
        """Raises: ValueError at the first text that does not come back as it was."""
        for text in texts:
            if (back := self.decode(self.encode(text))) != text:
                pairs = enumerate(zip(back, text, strict=False))
                place = next((at for at, (one, other) in pairs if one != other), min(len(back), len(text)))
                raise ValueError(
                    f"task.vocabulary.name={self._name} loses text: {text[place : place + 20]!r} comes back as "
                    f"{back[place : place + 20]!r}: use a byte-level tokenizer, or byte_pair"
                )

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.symbol(id) for id in range(self.size))

    def with_wait(self) -> "Waiting":
        return Waiting(self)

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises: ValueError for an unpaired surrogate, which is no text."""
        return self._tokenizer.encode(_checked(text), add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        return _decode(
            ids, self.marker_id, self.symbol, lambda run: self._tokenizer.decode(run, skip_special_tokens=False)
        )

    def symbol(self, id: int) -> str:
        """The text of one id, or the tokenizer's own spelling where it is a part of a character.

        Raises: ValueError for an id outside 0 ... size - 1.
        """
        if _inside(id, self.size) >= self.marker_id:
            return SPECIAL[id - self.marker_id]
        text = self._tokenizer.decode([id], skip_special_tokens=False)
        return text if text and "\ufffd" not in text else self._tokenizer.id_to_token(id) or f"<unused {id}>"


class Waiting:
    """A vocabulary of texts with WAIT as one symbol more; every <wait> in a text is that symbol."""

    def __init__(self, inner: Vocabulary) -> None:
        self.inner = inner
        self.marker_id, self.pad_id, self.eos_id = inner.marker_id, inner.pad_id, inner.eos_id
        self.wait_id: int | None = inner.mask_id
        self.mask_id, self.size = inner.mask_id + 1, inner.size + 1

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        return (*self.inner.symbols[:-1], WAIT, self.inner.symbols[-1])

    def with_wait(self) -> "Waiting":
        raise ValueError(f"{WAIT} is a symbol already: add it once")

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises: ValueError for an unpaired surrogate, which is no text."""
        first, *others = (self.inner.encode(part) for part in text.split(WAIT))
        return [*first, *(id for part in others for id in (self.mask_id - 1, *part))]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        return _decode(ids, self.mask_id - 1, self.symbol, self.inner.decode)

    def symbol(self, id: int) -> str:
        """The text of one id. Raises: ValueError for an id outside 0 ... size - 1."""
        return WAIT if _inside(id, self.size) == self.wait_id else self.inner.symbol(min(id, self.inner.mask_id))


def pretrained(texts: Iterable[str], name: str, revision: str | None = None) -> Pretrained:
    """A tokenizer of a local folder or of the hub, where it gives every text back as it was.

    Raises: ValueError where it loses text, has no tokenizer.json, or the hub cannot be reached.
    """
    folder = Path(name)
    file = folder / "tokenizer.json" if folder.is_dir() else _download(name, revision)
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"task.vocabulary.name={name}: its tokenizer.json cannot be read: {error}") from error
    made = Pretrained(content, name)
    made.check(texts)
    return made


def _download(name: str, revision: str | None) -> Path:
    from dlmreason.tasks.hub import commit_of

    setting = f"task.vocabulary.name={name}"
    commit = commit_of(
        name, revision, kind="model", setting=setting, instead="name a folder that holds a tokenizer.json"
    )
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, "tokenizer.json", revision=commit or None))
    except Exception as error:  # of several libraries
        raise ValueError(
            f"{setting} has no tokenizer.json that can be had: {str(error).splitlines()[0][:200]}: "
            f"transformers.AutoTokenizer.from_pretrained(...).save_pretrained(folder) makes one of older files"
        ) from error


def _words() -> Any:
    """Cuts a text where nothing merges: around each digit, and between words with the space before them."""
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def _decode(
    ids: Iterable[int], first_special: int, symbol: Callable[[int], str], plain: Callable[[list[int]], str]
) -> str:
    """Special ids by their symbols, the runs between them by `plain`."""
    parts: list[str] = []
    run: list[int] = []
    for id in map(int, ids):
        if 0 <= id < first_special:
            run.append(id)
        else:
            parts += (plain(run), symbol(id))
            run = []
    return "".join((*parts, plain(run)))


def _inside(id: int, size: int) -> int:
    if not 0 <= id < size:
        raise ValueError(f"id {id} is outside this vocabulary: ids are 0 to {size - 1}")
    return id


def _shown(piece: bytes) -> str:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in piece)


def _checked(text: str) -> str:
    """The text. Raises: ValueError with the place of an unpaired surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"character {error.start + 1} of the text is an unpaired surrogate, which is no text"
        ) from None
    return text
