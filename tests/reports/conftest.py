"""A made-up run of six arms on 6x6 Sudoku, with events, companion curve, timings and traces. No model is involved."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlmreason.analysis.records import Counted, Measurement, Record, Timing, Trace, Writer
from dlmreason.analysis.revisions import choose
from dlmreason.analysis.summary import summary
from tests.reports.browser import Visitor, executable, visitor

N, MASK, PASS_FLOPS = 6, 9, 16_500_000
SYMBOLS = [*"123456", "0", "####", "·", "?"]
LAYOUT = {"rows": 6, "columns": 6, "box_rows": 2, "box_columns": 3, "first": 0}
RUNGS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# chance that a token is written wrong; how much more a wrong one is doubted; whether the best canvas is kept
MINDS = {"confidence": (0.025, None), "random_doubt": (0.09, 1.0), "change_of_mind": (0.09, 3.0)}


def gold_grid(dice: random.Random) -> list[int]:
    names = dice.sample(range(N), N)
    return [names[(column + 3 * (row % 2) + row // 2) % N] for row in range(N) for column in range(N)]


def deliberate(arm: str, example: int) -> tuple[list[Record], Trace]:
    """One row's walk: two cells a pass until full, then four doubted at a time; a noisy judge keeps the best canvas."""
    dice = random.Random(f"{arm}/{example}")
    puzzle = random.Random(example)
    gold = gold_grid(puzzle)
    given = [puzzle.random() < 0.28 for _ in gold]
    hard = puzzle.uniform(0.4, 3)
    slip, sharpness = MINDS[arm]
    canvas = [token if is_given else MASK for token, is_given in zip(gold, given, strict=True)]
    start, committed = list(canvas), [None if not g else t for g, t in zip(given, gold, strict=True)]
    answer, best_score = list(canvas), float("-inf")
    counts = dict.fromkeys(
        ("written", "doubted", "restored", "flipped", "wrong_to_right", "right_to_wrong", "lateral"), 0
    )
    frames: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    records = []
    settled = False
    spent = 0
    for index in range(RUNGS[-1]):
        changes: list[list[int]] = []
        quality = score = None
        if not settled:
            spent += 1
            blanks = [i for i, token in enumerate(canvas) if token == MASK]
            if blanks:
                for cell in dice.sample(blanks, min(2, len(blanks))):
                    wrong = dice.random() < slip * hard * (1.6 if index > 20 else 1)
                    token = dice.choice([t for t in range(N) if t != gold[cell]]) if wrong else gold[cell]
                    changes.append([cell, token])
                    before = committed[cell]
                    counts["written" if before is None else "restored" if before == token else "flipped"] += 1
                    if before is not None and before != token:
                        kind = "lateral" if gold[cell] not in (before, token) else None
                        counts[kind or ("wrong_to_right" if token == gold[cell] else "right_to_wrong")] += 1
                    committed[cell] = token
            elif sharpness is None:
                settled = True
            else:
                wrong = sum(a != b for a, b in zip(canvas, gold, strict=True))
                if wrong and arm == "change_of_mind":
                    quality = [
                        max(0, min(100, int(dice.gauss(92, 5) if a == b else dice.gauss(30, 14))))
                        for a, b in zip(canvas, gold, strict=True)
                    ]
                else:
                    quality = [max(0, min(100, int(dice.gauss(90, 6)))) for _ in canvas]
                score = -0.04 * wrong + dice.gauss(0, 0.03)
                if score > best_score:
                    best_score = score
                    answers.append(
                        {"pass": index + 1, "changes": [[i, t] for i, t in enumerate(canvas) if answer[i] != t]}
                    )
                    answer = list(canvas)
                if wrong == 0 and arm == "change_of_mind" and dice.random() < 0.3:
                    settled = True
                else:
                    free = [i for i in range(N * N) if not given[i]]
                    weights = {i: dice.random() * (sharpness if canvas[i] != gold[i] else 1) for i in free}
                    for cell in sorted(free, key=lambda i: -weights[i])[:4]:
                        changes.append([cell, MASK])
                        counts["doubted"] += 1
            for cell, token in changes:
                canvas[cell] = token
            if changes or quality:
                masked = sum(token == MASK for token in canvas)
                told = {"quality": quality, "score": score, "masked": masked}
                frames.append({"pass": index + 1, "changes": changes} | told)
        if index + 1 in RUNGS:
            for name, tokens in ((arm, answer if best_score > float("-inf") else canvas), (arm + ".last", canvas)):
                right = tokens == gold
                if name == arm or arm == "change_of_mind":
                    records.append(record(name, example, given, index + 1, right, spent, settled, dict(counts)))
    trace = Trace(arm, f"test/0/{example}", 0, 36, LAYOUT, given, start, gold, SYMBOLS, MASK, frames, answers)
    return records, trace


def record(
    arm: str, example: int, given: list[bool], rung: int, right: bool, spent: int, settled: bool, events: dict[str, int]
) -> Record:
    return Record(
        arm=arm, task="sudoku6x6", split="test", example=f"test/0/{example}", difficulty=(36 - sum(given)) // 2 - 9,
        rung=rung, seed=0, answer="1 2 3", correct=right, reason="" if right else "row 2 holds 4 twice",
        nfe=min(spent, rung), scheduled_passes=rung, sequential_depth=min(spent, rung),
        flops=min(spent, rung) * PASS_FLOPS, events=events, run_key=f"key-{arm}", settled=settled,
    )  # fmt: skip


def guess(arm: str, example: int) -> list[Record]:
    """An arm without a canvas: its chance of being right grows with the budget to a ceiling."""
    dice = random.Random(f"{arm}/{example}")
    given = [dice.random() < 0.3 for _ in range(36)]
    ceiling, speed = {"restarts": (0.93, 0.011), "ar_answer": (0.24, 0.5), "ar_thought": (0.62, 0.09)}[arm]
    luck, pace, ar = dice.random(), dice.expovariate(1), arm.startswith("ar_")
    answers = [
        record(arm, example, given, r, luck < ceiling and pace < speed * r, r, False, {"chains": r} if ar else {})
        for r in RUNGS
    ]
    return [replace(answer, score=round(1 - luck, 3)) for answer in answers] if ar else answers


def measure(folder: Path) -> None:
    """What calls took alone and in a full batch, what was counted of walks, and what a model is."""
    with Writer(folder / "measurements.jsonl") as out:
        for arm, seconds in (("change_of_mind", 0.002), ("confidence", 0.002), ("ar_thought", 0.001)):
            for batch in (1, 100):
                call = seconds * (1 + 0.1 * batch)
                joules = 3.0 if arm == "confidence" else None
                out.append(
                    Measurement(
                        arm, "pass", batch, 10, 10 * call, call, call / batch, 300 << 20, joules, {}, "cpu", 2, "k"
                    )
                )
    dice = random.Random("walks")
    with Writer(folder / "counters.jsonl") as out:
        for arm in ("change_of_mind", "random_doubt"):
            for example in range(12):
                n = 36
                commit, flips = ([dice.randrange(most) for _ in range(n)] for most in (RUNGS[-1], 3))
                out.append(
                    Counted(
                        arm, f"test/0/{example}", 0, RUNGS[-1], 200, 2, list(range(n)), flips, flips, flips, flips,
                        flips, commit, [True] * n, 50, True, 90, False, None, None, 0,
                        dice.choice(("settled and stayed", "never settled")), {}, "k",
                    )
                )  # fmt: skip
    model = folder / "models" / "diffusion"
    model.mkdir(parents=True, exist_ok=True)
    extra = {"training_flops": 2.75e12, "updates": 2400, "seconds": 81.0}
    task = {"provenance": {"source": "generated", "seed": 0}}
    (model / "description.json").write_text(json.dumps({"extra": extra, "task": task}))


def make_run(folder: Path, puzzles: int = 200) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    records: list[Record] = []
    traces: list[Trace] = []
    for arm in ("change_of_mind", "confidence", "random_doubt", "restarts", "ar_thought", "ar_answer"):
        for example in range(puzzles):
            if arm in MINDS:
                found, trace = deliberate(arm, example)
                records += found
                if arm == "change_of_mind":
                    traces.append(trace)
            else:
                records += guess(arm, example)
    wanted = {choice.example for choice in choose(records, "change_of_mind").choices}
    with Writer(folder / "records.jsonl") as out:
        out.append_many(records)
    with Writer(folder / "traces.jsonl") as out:
        out.append_many(trace for trace in traces if trace.example in wanted)
    with Writer(folder / "timings.jsonl") as out:
        out.append(
            Timing("change_of_mind", None, 81.5, puzzles, 50, 31_000, 310_000_000, "cpu", 2, "key-change_of_mind")
        )
    measure(folder)
    learning = {"change_of_mind": {"half": 0.41, "full": 0.52}, "ar_thought": {"half": 0.2, "full": 0.19}}
    (folder / "summary.json").write_text(json.dumps(summary(records, learning=learning)))
    run = {
        "commit": "0123abc",
        "command": "python -m dlmreason.experiment experiment=demo",
        "seeds": [0],
        "machine": {"cores": 2},
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "config.yaml").write_text(
        "name: demo\ntask:\n  size: 6\nlogger:\n  api_key: " + "0123456789abcdef" * 3 + "\n"
    )
    return folder


@pytest.fixture(scope="session")
def build_run() -> Callable[..., Path]:
    return make_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"), puzzles=60)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's Chromium, without a window; where there is none, or nothing to drive it with, the test is skipped
    and says what to install."""
    driver = pytest.importorskip("playwright.sync_api", reason="no playwright here: `make setup` installs it")
    path = executable()
    if path is None:
        pytest.skip("no chromium here: `apt-get install chromium` to test the page in a browser")
    with driver.sync_playwright() as running:
        found = running.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def visit(chromium: Any) -> Visitor:
    return visitor(chromium)
