"""Vocabularies made of texts: every text survives, special ids are no text's, and training is the same everywhere."""

import json
import os
import pickle
import random
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from huggingface_hub import constants
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from dlmreason.tasks.rows import read_rows
from dlmreason.tasks.text_vocabulary import (
    LEAST,
    LETTERS,
    PROBE,
    SPECIAL,
    BytePair,
    Pretrained,
    byte_pair,
    characters,
    load,
    pretrained,
)
from dlmreason.tasks.vocabulary import WAIT

WORDS = [
    "apples",
    "<<48/2=24>>",
    "Janet\u2019s",
    "costs",
    "$1,234.50",
    "naïve",
    "日本",
    "and",
    "then",
    "the",
    "there",
    "\n",
]


def texts_of(count=300):
    source = random.Random(5)
    return [" ".join(source.choices(WORDS, k=source.randrange(1, 30))) for _ in range(count)]


def byte_level(change=lambda tokenizer: None):
    """A byte-level tokenizer as the hub has them."""
    ids = {letter: id for id, letter in enumerate([*LETTERS, "th", "the", "Ġthe"])}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the")]
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<eos>", AddedToken("[M]", lstrip=True, special=True)])
    change(tokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    byte_level().save(str(folder / "tokenizer.json"))
    return {
        "bytes": BytePair(),
        "byte_pair": byte_pair(texts_of(), 400),
        "characters": characters(texts_of()),
        "pretrained": pretrained(texts_of(), str(folder)),
    }


KINDS = ["bytes", "byte_pair", "characters", "pretrained"]
PARTS = [*"aZ09 \n\t\r\x00\x7f\u0301\u200d\u2019", *"\u65e5\U0001f469\U0001f3fd", *SPECIAL, "the", "<|endoftext|>"]
TEXTS = st.one_of(
    st.text(),
    st.lists(st.sampled_from(PARTS)).map("".join),
    st.sampled_from([*WORDS, PROBE, *SPECIAL, "<|endoftext|>", " [M] "]),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(text=TEXTS)
def test_every_text_survives_as_plain_text(made, kind, text):
    vocabulary = made[kind]
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert all(0 <= id < vocabulary.marker_id for id in ids), "no text becomes a special id"


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(parts=st.lists(st.tuples(TEXTS, st.integers(0, 3)), max_size=4))
def test_special_ids_are_written_out_between_texts(made, kind, parts):
    vocabulary = made[kind]
    ids = [id for text, which in parts for id in (*vocabulary.encode(text), vocabulary.marker_id + which)]
    assert vocabulary.decode(ids) == "".join(text + SPECIAL[which] for text, which in parts)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(ids=st.lists(st.integers(0, 255)))
def test_whatever_ids_a_model_writes_they_are_text(made, kind, ids):
    made[kind].decode(ids).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_as_everybody_expects(made, kind):
    vocabulary = made[kind]
    special = (vocabulary.marker_id, vocabulary.pad_id, vocabulary.eos_id, vocabulary.mask_id)
    assert special == tuple(range(vocabulary.size - 4, vocabulary.size))
    assert vocabulary.symbols[-4:] == SPECIAL == ("####", "<pad>", "<eos>", "<mask>")
    assert len(vocabulary.symbols) == vocabulary.size
    assert all(vocabulary.symbol(id) == symbol for id, symbol in enumerate(vocabulary.symbols))
    assert all(symbol and symbol.encode() for symbol in vocabulary.symbols)
    for id in (-1, vocabulary.size):
        for call in (vocabulary.symbol, lambda id: vocabulary.decode([id])):
            with pytest.raises(
                ValueError, match=f"id {id} is outside this vocabulary: ids are 0 to {vocabulary.mask_id}"
            ):
                call(id)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(text=st.lists(st.sampled_from([*PARTS, WAIT])).map("".join))
def test_with_the_sign_every_text_survives_and_other_ids_are_the_same(made, kind, text):
    plain, waiting = made[kind], made[kind].with_wait()
    ids = waiting.encode(text)
    assert waiting.decode(ids) == text and ids.count(waiting.wait_id) == text.count(WAIT)
    assert [id for part in text.split(WAIT) for id in plain.encode(part)] == [id for id in ids if id != waiting.wait_id]


@pytest.mark.parametrize("kind", KINDS)
def test_the_sign_is_one_id_before_the_mask(made, kind):
    plain, waiting = made[kind], made[kind].with_wait()
    assert plain.wait_id is None and waiting.wait_id == plain.mask_id == waiting.mask_id - 1 == waiting.size - 2
    assert waiting.symbols == (*plain.symbols[:-1], WAIT, "<mask>")
    assert all(waiting.symbol(id) == symbol for id, symbol in enumerate(waiting.symbols))
    special = range(waiting.marker_id, waiting.size)
    assert waiting.decode(special) == "####<pad><eos><wait><mask>"
    for id in (-1, waiting.size):
        with pytest.raises(ValueError, match=f"id {id} is outside this vocabulary: ids are 0 to {waiting.mask_id}"):
            waiting.decode([id])
    with pytest.raises(ValueError, match="<wait> is a symbol already"):
        waiting.with_wait()
    assert pickle.loads(pickle.dumps(waiting)).encode("a<wait>b") == waiting.encode("a<wait>b")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("text", "place"), [("\ud800", 1), ("ab\udfffc", 3)])
def test_half_a_character_is_refused(made, kind, text, place):
    with pytest.raises(ValueError, match=f"character {place} of the text is an unpaired surrogate"):
        made[kind].encode(text)


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_has_the_same_vocabulary(made, kind):
    other = pickle.loads(pickle.dumps(made[kind]))
    assert other.sha256 == made[kind].sha256 and other.symbols == made[kind].symbols
    for text in (PROBE, "<|endoftext|><eos> [M]", *texts_of(20)):
        assert other.encode(text) == made[kind].encode(text)


def test_a_byte_is_its_own_id_and_a_part_of_a_character_is_shown():
    plain = BytePair()
    assert plain.size == LEAST == 260
    assert plain.encode("aé\n") == [97, 0xC3, 0xA9, 10]
    assert plain.symbols[97] == "a" and plain.symbols[10] == "\n" and plain.symbols[0xC3] == "<0xC3>"
    assert plain.decode([0xC3, plain.mask_id, 0xA9]) == "\ufffd<mask>\ufffd"


def test_merges_go_in_their_order():
    vocabulary = BytePair([("b", "c"), ("a", "b"), ("a", "bc"), ("ab", "c")])
    assert [vocabulary.symbols[id] for id in vocabulary.encode("abc ab")] == ["abc", " ", "ab"]
    assert vocabulary.size == LEAST + 3, "abc comes from two merges and is one piece"
    with pytest.raises(ValueError, match="which are no pieces"):
        BytePair([("ab", "c")])


def test_frequent_pairs_merge_and_digits_never_do():
    vocabulary = byte_pair(texts_of(), 400)
    assert 300 < vocabulary.size <= 400
    assert len(vocabulary.encode(" there")) == 1
    assert [vocabulary.symbols[id] for id in vocabulary.encode("1234 56")] == ["1", "2", "3", "4", " ", "5", "6"]
    assert not any(
        symbol != digit and digit in symbol
        for symbol in vocabulary.symbols
        for digit in "123456789"
        if "0x" not in symbol
    )
    assert byte_pair([], LEAST).size == byte_pair(["ab"], 4096).size == LEAST, "a pair that is there once is none"


def test_characters_have_one_id_each():
    vocabulary = characters(texts_of())
    held = sorted({letter for text in texts_of() for letter in text})
    assert all(len(vocabulary.encode(letter)) == 1 for letter in held)
    assert all(len(vocabulary.encode(text)) == len(text) for text in texts_of())
    assert len(vocabulary.encode("é")) == 2, "not in the texts: in bytes"
    assert vocabulary.sha256 == characters(reversed(texts_of())).sha256


TRAIN = """
import json, sys
from dlmreason.tasks.text_vocabulary import byte_pair
made = byte_pair(json.load(open(sys.argv[1])), 700)
print(made.sha256, made.size)
"""


@pytest.mark.parametrize("hashing", ["0", "1"])
@pytest.mark.parametrize(
    "threads", [{"RAYON_NUM_THREADS": "1"}, {"RAYON_NUM_THREADS": "7", "TOKENIZERS_PARALLELISM": "true"}]
)
def test_training_is_the_same_in_every_process_with_any_threads(tmp_path, threads, hashing):
    source = random.Random(3)
    texts = ["".join(source.choices("abcdefgh ", k=60)) for _ in range(500)]  # many pairs are equally frequent
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    environment = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path / "texts.json")],
        env=environment | threads | {"PYTHONHASHSEED": hashing},
        capture_output=True,
        text=True,
        check=True,
    )
    here = byte_pair(iter(texts), 700)
    assert done.stdout.split() == [here.sha256, str(here.size)]


def test_saved_and_loaded_it_is_the_same(tmp_path):
    vocabulary = byte_pair(texts_of(), 400)
    vocabulary.save(tmp_path / "v.json")
    again = load(tmp_path / "v.json")
    assert again.sha256 == vocabulary.sha256 and again.symbols == vocabulary.symbols
    assert [again.encode(text) for text in texts_of()] == [vocabulary.encode(text) for text in texts_of()]
    assert byte_pair(texts_of()[:100], 400).sha256 != vocabulary.sha256
    again.save(tmp_path / "w.json")
    assert (tmp_path / "v.json").read_bytes() == (tmp_path / "w.json").read_bytes()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 2, "kind": "byte_pair", "merges": []}', '{"format": 1, "kind": "byte_pair"}']
    + [
        f'{{"format": 1, "kind": "byte_pair", "merges": {merges}}}'
        for merges in ("5", "[5]", '["abc"]', '[["a", 1]]', '[["ab", "c"]]')
    ],
)
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, content):
    (tmp_path / "v.json").write_text(content)
    with pytest.raises(ValueError, match=r"v\.json holds no vocabulary that was saved here: "):
        load(tmp_path / "v.json")
    with pytest.raises(ValueError, match=r"none\.json holds no vocabulary"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize("size", [LEAST - 1, 2**20 + 1, True, "4096", None])
def test_a_size_that_cannot_be_is_refused(size):
    with pytest.raises(ValueError, match=rf"^task\.vocabulary\.size={size} must be 260 to 1048576: "):
        byte_pair(texts_of(), size)


# --- tokenizers of others


def replaced(name, value):
    return lambda tokenizer: setattr(tokenizer, name, value)


LOSSY = {
    "lower case": replaced("normalizer", normalizers.Lowercase()),
    "accents": replaced("normalizer", normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])),
    "composed": replaced("normalizer", normalizers.NFC()),
    "compatible": replaced("normalizer", normalizers.NFKC()),
    "trimmed": replaced("normalizer", normalizers.Strip()),
    "spaces": replaced("normalizer", normalizers.Replace("  ", " ")),
    "a space in front": replaced("pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "words": replaced(
        "pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(False)])
    ),
    "no decoder": replaced("decoder", decoders.Fuse()),
    "added token that takes spaces": lambda tokenizer: tokenizer.add_tokens(
        [AddedToken("[S]", lstrip=True, rstrip=True)]
    ),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_a_tokenizer_that_loses_text_is_refused(kind):
    with pytest.raises(
        ValueError, match=r"^task\.vocabulary\.name=x loses text: .* comes back as .*: use a byte-level tok"
    ):
        Pretrained(byte_level(LOSSY[kind]).to_str(), "x")


def test_a_tokenizer_without_bytes_is_refused():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with pytest.raises(ValueError, match="loses text"):
        Pretrained(tokenizer.to_str(), "x")


def test_what_a_tokenizer_does_for_models_is_left_out():
    def change(tokenizer):
        tokenizer.enable_truncation(4)
        tokenizer.enable_padding(length=50)
        tokenizer.post_processor = processors.TemplateProcessing("<eos> $A <eos>", special_tokens=[("<eos>", 260)])

    plain, changed = Pretrained(byte_level().to_str(), "x"), Pretrained(byte_level(change).to_str(), "x")
    assert changed.encode("the theory of the rest") == plain.encode("the theory of the rest")
    assert changed.sha256 != plain.sha256
    assert plain.symbols[256:262] == ("th", "the", " the", "<|endoftext|>", "<eos>", "[M]")
    assert plain.size == 262 + 4


def test_training_texts_are_tried_too(tmp_path):
    odd = replaced("normalizer", normalizers.Replace("qqq", "q"))
    byte_level(odd).save(str(tmp_path / "tokenizer.json"))
    assert pretrained(["a q"], str(tmp_path)).decode([97]) == "a"
    with pytest.raises(ValueError, match=r"loses text: 'qq' comes back as ''"):
        pretrained(["a", "b qqq"], str(tmp_path))


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe", b'{"model": 5}'])
def test_a_folder_without_a_tokenizer_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"^task\.vocabulary\.name=.*: (its tokenizer.json cannot be read|no tokenizer can)"
    ):
        pretrained([], str(tmp_path))


def test_a_hub_out_of_reach_is_said_at_once(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    started = time.monotonic()
    with pytest.raises(
        ValueError,
        match=r"^task\.vocabulary\.name=gpt2: http://127.0.0.1:9 cannot be reached \(.*\): name a folder that",
    ):
        pretrained([], "gpt2")
    assert time.monotonic() - started < 10


def test_a_tokenizer_that_was_never_downloaded_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"^task\.vocabulary\.name=no-one/none has no tokenizer\.json that can be had: "
    ):
        pretrained([], "no-one/none")


def test_the_probe_holds_what_tokenizers_lose():
    assert {unicodedata.category(letter) for letter in PROBE} >= {
        "Cc",
        "Cf",
        "Zs",
        "Mn",
        "Lo",
        "Lu",
        "Sm",
        "Co",
        "So",
    } - {"Co"}
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert unicodedata.normalize(form, PROBE) != PROBE


# --- real files, where there are some

DATA = os.environ.get("DLMREASON_DATA")
REAL = pytest.mark.skipif(not DATA or not Path(DATA).is_dir(), reason="DLMREASON_DATA names no folder of real data")


@REAL
def test_real_test_texts_are_written_in_the_training_texts_vocabulary():
    train, test = (read_rows(str(Path(DATA) / "gsm8k" / f"{split}.jsonl")).rows for split in ("train", "test"))
    vocabulary = byte_pair(text for row in train for text in row[2:])
    assert vocabulary.size == 4096
    ids = [vocabulary.encode(row.prompt) for row in test]
    assert [vocabulary.decode(each) for each in ids] == [row.prompt for row in test]
    share = sum(map(len, ids)) / sum(len(row.prompt) for row in test)
    print(f"{1 / share:.2f} characters a token")
    assert share < 0.35
