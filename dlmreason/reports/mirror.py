"""A copy of a run in W&B, which may be lost without the run noticing.

This file decides what a run hands to W&B and what happens when W&B is slow, broken or gone: a line on stderr, once, and
the run goes on. W&B lives in a process of its own (`wandb_process.py`), so neither its import, its threads nor its
death is ours. Calls put a line into a bounded queue and return. The durable record is the run's own files.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from dlmreason.analysis.packed import records_in
from dlmreason.reports import series
from dlmreason.reports.redaction import redact, redact_text, shaped, without_shapes
from dlmreason.reports.series import Rates, Row, Work
from dlmreason.reports.shown import Shown

MODES = ("offline", "online", "disabled")
KEY = "WANDB_API_KEY"
NO_KEY = f"no key in {KEY}: copy yours from https://wandb.ai/authorize and put {KEY}=<key> before the command"
ROOM = 10_000
"""Calls that wait at most; more are dropped, since a slow mirror must not fill the memory."""
MOST_ROWS = 10_000
"""Rows of a table: W&B shows no more."""
TEXTS = (".jsonl", ".json", ".yaml", ".md", ".html", ".svg")
"""Files that are searched for secrets before they are handed over."""
PATIENCE = 60.0
"""Seconds that the end of a run waits for W&B."""


class Mirror:
    """Hands a run to W&B. Every method returns at once and none raises once the mirror was made.

    mode: "online" needs a key in WANDB_API_KEY, else it becomes "offline".  folder: W&B writes to `folder/wandb`.
    work: of each model, by which its rates are told.  waits: seconds that a call may wait for room; a run has none.
    Raises: ValueError for an unknown mode.
    """

    def __init__(
        self,
        mode: str = "offline",
        *,
        project: str = "dlmreason",
        name: str = "run",
        group: str | None = None,
        job_type: str | None = None,
        tags: Sequence[str] = (),
        folder: Path | str = ".",
        config: Mapping[str, Any] | None = None,
        work: Mapping[str, Work] | None = None,
        waits: float = 0.0,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"logger.mode={mode!r} is none of {', '.join(MODES)}: choose one of them")
        if mode == "online" and not os.environ.get(KEY):
            _say(f"no key in {KEY}: W&B stays offline in {Path(folder) / 'wandb'}; `make sync` uploads it later")
            mode = "offline"
        self.mode = mode
        self.dropped = 0
        self._rates = Rates(work or {})
        self._waits = waits
        self._folder = Path(folder)
        self._lost = mode == "disabled"
        self._finished = False
        self._queue: queue.Queue[bytes | None] = queue.Queue(ROOM)
        self._process: subprocess.Popen[bytes] | None = None
        if self._lost:
            return
        start = {
            "mode": mode, "project": project, "name": name, "group": group, "job_type": job_type, "tags": list(tags),
            "dir": str(Path(folder).resolve()), "config": dict(config or {}),
        }  # fmt: skip
        try:
            self._open(Path(folder))
        except Exception as error:  # a full disk, no more processes: whatever it is, the run goes on
            self._lose(error)
            return
        self._send("start", start)

    def _open(self, folder: Path) -> None:
        log = folder / "wandb" / "mirror.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(
                # -P: nothing of the working folder is W&B's to import
                [sys.executable, "-P", "-m", "dlmreason.reports.wandb_process"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(_found_at())},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # Ctrl-C ends the run, which then ends the mirror; not both at once
            )
        assert self._process.stdin is not None
        self._thread = threading.Thread(target=self._pump, args=(self._process.stdin,), name="mirror", daemon=True)
        self._thread.start()

    def _pump(self, pipe: IO[bytes]) -> None:
        """Writes waiting calls to the process; a full pipe blocks this thread only."""
        try:
            while (line := self._queue.get()) is not None:
                pipe.write(line)
                if self._queue.empty():
                    pipe.flush()
            pipe.close()
        except (OSError, ValueError) as error:
            self._lose(error)

    def _send(self, call: str, content: Any) -> None:
        """A call, secrets taken out of its texts; the names of numbers are ours and stay."""
        if self._lost or self._finished:
            return
        try:
            told = content if call == "log" else redact(content)
            self._queue.put(json.dumps([call, told]).encode() + b"\n", self._waits > 0, self._waits)
        except queue.Full:
            if not self.dropped:
                _say(f"W&B does not keep up: calls are dropped from here on; {_SAFE}")
            self.dropped += 1
        except Exception as error:
            self._lose(error)

    def _lose(self, error: BaseException) -> None:
        if not self._lost:
            self._lost = True
            _say(f"W&B is lost ({type(error).__name__}: {redact_text(str(error))}); the run goes on. {_SAFE}")

    def training(self, model: str, entry: Mapping[str, float]) -> None:
        """An entry of a training, with what it did in a second."""
        try:
            self.row(series.training(model, self._rates(model, entry)))
        except Exception as error:
            self._lose(error)

    def row(self, row: Row) -> None:
        """Numbers at a place on an axis; models of a run each count their own updates."""
        self._send("log", {"values": row.values, "axis": row.axis})

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Numbers after training update `step`."""
        at = {} if step is None else {series.UPDATE: step}
        self.row(Row(series.UPDATE, {**values, **at}))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._send("table", {"name": name, "columns": list(columns), "rows": [list(row) for row in rows]})

    def figure(self, name: str, figure: Any) -> None:
        """A Plotly figure."""
        try:
            self._send("figure", {"name": name, "json": figure.to_json()})
        except Exception as error:
            self._lose(error)

    def page(self, name: str, path: Path | str) -> None:
        """An HTML file, shown as it is; one with the shape of a secret in it is shown without."""
        try:
            text = Path(path).read_text(encoding="utf-8")
            if shaped(text):
                path = self._folder / "wandb" / f"{name}.html"
                path.write_text(without_shapes(text), encoding="utf-8")
        except Exception as error:
            _say(f"{path} is not handed to W&B ({type(error).__name__}). {_SAFE}")
            return
        self._send("page", {"name": name, "path": str(Path(path).resolve())})

    def artifact(self, name: str, kind: str, paths: Sequence[Path | str]) -> None:
        """Files kept with the run, to the byte; those with the shape of a secret in them are left out, and named."""
        kept = []
        for path in map(Path, paths):
            try:
                holds = path.suffix in TEXTS and shaped(path.read_text(encoding="utf-8", errors="replace"))
            except Exception as error:
                _say(f"{path} is not handed to W&B ({type(error).__name__}). {_SAFE}")
                continue
            if holds:
                _say(f"{path} holds what looks like a secret and is not handed to W&B. {_SAFE}")
            else:
                kept.append(str(path.resolve()))
        if kept:
            self._send("artifact", {"name": name, "type": kind, "paths": kept})

    def summary(self, values: Mapping[str, Any]) -> None:
        """The run's last word, by name."""
        self._send("summary", redact(dict(values)))

    def found(self, gather: Callable[[], Shown], folder: Path) -> None:
        """What a run has found: its curves, tables, figure, page, records and verdict.

        gather: reads it; called only where it is wanted, and a failure of it is W&B's loss, not the run's.
        """
        if self._lost:
            return
        try:
            shown = gather()
        except Exception as error:
            _say(f"W&B is not handed the results ({type(error).__name__}: {redact_text(str(error))}). {_SAFE}")
            return
        for row in shown.results:
            self.row(row)
        for table in shown.tables:
            if len(table.rows) > MOST_ROWS:
                _say(f"W&B is handed the first {MOST_ROWS:,} of {len(table.rows):,} rows of {table.name}. {_SAFE}")
            self.table(table.name, table.columns, table.rows[:MOST_ROWS])
        if shown.summary is not None:
            self._figure_of(shown.summary)
            self.summary(series.last_word(shown.summary))
        if "report.html" in shown.files:
            self.page("report", folder / "report.html")
        if (records := records_in(folder)) is not None:
            self.artifact(f"{shown.name}-records", "records", [records])

    def _figure_of(self, summary: Mapping[str, Any]) -> None:
        try:
            from dlmreason.reports.figure import plotly

            self.figure("accuracy_against_flops_figure", plotly(summary))
        except Exception as error:
            _say(f"the W&B figure could not be drawn ({redact_text(str(error))}); figure.svg is there")

    @property
    def failed(self) -> bool:
        """Whether W&B was lost, or not handed everything."""
        return self._lost or self.dropped > 0

    def finish(self, exit_code: int = 0, patience: float = PATIENCE) -> None:
        """Ends the run in W&B and waits for it at most `patience` seconds."""
        if self._process is None or self._finished:
            return
        self._send("finish", {"exit_code": exit_code})
        self._finished = True
        try:
            if self._thread.is_alive():
                self._queue.put(None, timeout=patience)
            code = self._process.wait(timeout=patience)
            if code and not self._lost:
                self._lose(RuntimeError(f"its process ended with exit code {code}"))
        except (queue.Full, subprocess.TimeoutExpired):
            os.killpg(self._process.pid, signal.SIGKILL)  # W&B's own helper is of the same session
            self._process.wait()
            self._lose(TimeoutError(f"not finished after {patience:.0f} seconds"))
        if self.dropped:
            _say(f"{self.dropped:,} calls did not reach W&B. {_SAFE}")


_SAFE = "The run's own files hold everything."


def _found_at() -> list[str]:
    """Where this very package lies, before all other places."""
    return [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
