"""Texts that would run a script, add an element or leave their place, were they taken for anything but text; and a run
in which every text that comes from outside is one of them."""

import json
from collections.abc import Sequence
from pathlib import Path

from dlmreason.analysis.records import Counted, Measurement, Record, Timing, Trace, Writer

RUN = "alert(1)"

PAYLOADS = (
    # elements
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"</ScRiPt ><sCrIpT>{RUN}</sCrIpT>",
    f"<script src=data:text/javascript,{RUN}></script>",
    f"<script type=module>{RUN}</script>",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"<img src=x onerror={RUN}>",
    f"<img/src=x/onerror={RUN}//",
    f"<img src=x onerror\n=\n'{RUN}'>",
    f"<svg onload={RUN}>",
    f"<svg/onload={RUN}//",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s></svg>",
    f"<svg><a href='javascript:{RUN}'><text>go</text></a></svg>",
    f"<math><mtext><style><img src=x onerror={RUN}></style></mtext></math>",
    f"<body onload={RUN}>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<iframe src=javascript:{RUN}></iframe>",
    f"<object data=javascript:{RUN}></object>",
    f"<embed src=javascript:{RUN}>",
    f"<video><source onerror={RUN}></video>",
    f"<audio src=x onerror={RUN}></audio>",
    f"<details open ontoggle={RUN}>x</details>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}></select>",
    f"<marquee onstart={RUN}>x</marquee>",
    f"<form action=javascript:{RUN}><button>go</button></form>",
    f"<button formaction=javascript:{RUN}>go</button>",
    f"<a href='javascript:{RUN}'>go</a>",
    f"<a href='data:text/html,<script>{RUN}</script>'>go</a>",
    "<base href='https://attacker.example/'>",
    "<meta http-equiv=refresh content='0;url=https://attacker.example/'>",
    "<link rel=stylesheet href=https://attacker.example/x.css>",
    "<style>@import 'https://attacker.example/x.css';body{display:none}</style>",
    "<style>*{background:url(https://attacker.example/x)}</style>",
    f"<template><script>{RUN}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<textarea></textarea><img src=x onerror={RUN}>",
    f"<title></title><script>{RUN}</script>",
    f"<table><td background=javascript:{RUN}>",
    # out of an attribute
    f"\"'><svg/onload={RUN}>",
    f"\" onmouseover={RUN} autofocus onfocus={RUN} x=\"",
    f"' onfocus='{RUN}' autofocus tabindex=1 x='",
    f"`onload={RUN}`",
    f"\" style=\"background:url(javascript:{RUN})\" x=\"",
    # out of a comment, a script's data, a template
    f"<!--<script>{RUN}",
    f"--><script>{RUN}</script><!--",
    f"]]><script>{RUN}</script>",
    f"]]>\u2028javascript:{RUN}\u2029",
    f"\";{RUN};//",
    f"';{RUN};//",
    f"\\\";{RUN}//",
    f"${{{RUN}}}",
    "{{data}}{{script}}{{style}}",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    # other spellings of the same
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"&#60;img src=x onerror={RUN}&#62;",
    f"+ADw-script+AD4-{RUN}+ADw-/script+AD4-",
    f"\uff1cscript\uff1e{RUN}\uff1c/script\uff1e",
    f"%3Cscript%3E{RUN}%3C/script%3E",
    f"\x00<scr\x00ipt>{RUN}</scr\x00ipt>",
    # names that mean something to a program, and to a spreadsheet
    "__proto__",
    "constructor",
    "=HYPERLINK(\"https://attacker.example/\";\"go\")",
    "@SUM(1+1)|cmd|' /C calc'!A0",
    "\u202e<tpircs>\ud800",
)  # fmt: skip


def harmless(texts: Sequence[str]) -> list[str]:
    """As many texts of as many words, none of which means anything."""
    return [" ".join([f"word{i}", *("word" for _ in text.split()[1:])]) for i, text in enumerate(texts)]


def poisoned(folder: Path, texts: Sequence[str]) -> Path:
    """A small run with an arm, a puzzle, an answer, a symbol, a setting and a bad line for each text; what there is but
    one of holds them all."""
    folder.mkdir()
    every = " ".join(texts)
    answers = [
        Record(
            arm=arm, task=every, split=every, example=text, difficulty=1, rung=rung, seed=0, answer=text,
            correct=rung > 1, reason=text, nfe=1, scheduled_passes=1, sequential_depth=1, flops=5 * rung,
            events={"doubted": 1, "wrong_to_right": 1, "chains": 1}, run_key=text, score=-0.1 * rung,
        )
        for text in texts
        for arm in (text, text + ".last")
        for rung in (1, 2)
    ]  # fmt: skip
    with Writer(folder / "records.jsonl") as out:
        out.append_many(answers)
    symbols = [*texts, "·"]
    layout = {"rows": 1, "columns": len(texts), "box_rows": 1, "box_columns": len(texts), "first": 0}
    with Writer(folder / "traces.jsonl") as out:
        n, mask = len(texts), len(texts)
        writing = {"pass": 1, "changes": [[i, i] for i in range(n)], "quality": [50] * n, "score": -1.0, "masked": 0}
        turning = {"pass": 2, "changes": [[0, (n - 1)]], "quality": None, "score": None, "masked": 0}
        out.append_many(
            Trace(
                text, text, 0, n, layout, [False] * n, [mask] * n, [0] * n, symbols, mask, [writing, turning], [writing]
            )
            for text in texts[:3]
        )
    with Writer(folder / "timings.jsonl") as out:
        out.append_many(Timing(text, 1, 1.0, 1, 1, 1, 1, text, 1, text) for text in texts)
    with Writer(folder / "measurements.jsonl") as out:
        out.append_many(
            Measurement(text, "pass", batch, 1, 1.0, 1.0, 1.0, 1, None, {text: text}, text, 1, text)
            for text in texts
            for batch in (1, 2)
        )
    with Writer(folder / "counters.jsonl") as out:
        out.append_many(
            Counted(
                text, text, 0, 2, 2, 1, [0], [1], [0], [2], [1], [1], [1], [True], 2, True, 1, False, 2, None, 0,
                "never settled", {}, text,
            )
            for text in texts
        )  # fmt: skip
    (folder / "timings.jsonl").open("a").write("".join(f"{text!r}\n" for text in texts))
    run = {text: [text, {text: text}] for text in texts} | {
        "name": every,
        "title": every,
        "primary": texts[0],
        "family": [[texts[0], texts[-1]]],
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "config.yaml").write_text("\n".join(texts), encoding="utf-8", errors="replace")
    (folder / "metrics").mkdir()
    for i, text in enumerate(texts):
        name = f"{i} {text}".replace("/", "\u2215").replace("\x00", "").encode("utf-8", "replace").decode()
        (folder / "metrics" / f"{name}.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0, text: text}))
    return folder
