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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from dlmreason.reports.redaction import redact, redact_text

MODES = ("offline", "online", "disabled")
KEY = "WANDB_API_KEY"
ROOM = 10_000
"""Calls that wait at most; more are dropped, since a slow mirror must not fill the memory."""
PATIENCE = 60.0
"""Seconds that the end of a run waits for W&B."""


class Mirror:
    """Hands a run to W&B. Every method returns at once and none raises once the mirror was made.

    mode: "online" needs a key in WANDB_API_KEY, else it becomes "offline".  folder: W&B writes to `folder/wandb`.
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
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"logger.mode={mode!r} is none of {', '.join(MODES)}: choose one of them")
        if mode == "online" and not os.environ.get(KEY):
            _say(f"no key in {KEY}: W&B stays offline in {Path(folder) / 'wandb'}; `wandb sync` uploads it later")
            mode = "offline"
        self.mode = mode
        self.dropped = 0
        self._lost = mode == "disabled"
        self._finished = False
        self._queue: queue.Queue[bytes | None] = queue.Queue(ROOM)
        self._process: subprocess.Popen[bytes] | None = None
        if self._lost:
            return
        start = {
            "mode": mode, "project": project, "name": name, "group": group, "job_type": job_type, "tags": list(tags),
            "dir": str(Path(folder).resolve()), "config": redact(config or {}),
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
                # -P: the folder of the script must not shadow other people's modules
                [sys.executable, "-P", str(Path(__file__).with_name("wandb_process.py"))],
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
        if self._lost or self._finished:
            return
        try:
            self._queue.put_nowait(json.dumps([call, content]).encode() + b"\n")
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

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Numbers after training update `step`; several models of a run may each count their own."""
        self._send("log", {"values": dict(values), "step": step})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._send("table", {"name": name, "columns": list(columns), "rows": [list(row) for row in rows]})

    def figure(self, name: str, figure: Any) -> None:
        """A Plotly figure."""
        try:
            self._send("figure", {"name": name, "json": figure.to_json()})
        except Exception as error:
            self._lose(error)

    def page(self, name: str, path: Path | str) -> None:
        """An HTML file, shown as it is."""
        self._send("page", {"name": name, "path": str(Path(path).resolve())})

    def artifact(self, name: str, kind: str, paths: Sequence[Path | str]) -> None:
        """Files kept with the run."""
        self._send("artifact", {"name": name, "type": kind, "paths": [str(Path(path).resolve()) for path in paths]})

    def summary(self, values: Mapping[str, Any]) -> None:
        """The run's last word, by name."""
        self._send("summary", redact(dict(values)))

    def report(self, summary: Mapping[str, Any], page: Path | str | None = None) -> None:
        """What a finished run shows: the table and figure of accuracy against FLOPs, the page, the verdict.

        summary: the content of `summary.json`.
        """
        if self._lost:
            return
        columns = ["arm", "rung", "accuracy", "low", "high", "n", "flops", "nfe", "depth"]
        points = [{"arm": arm, **point} for arm, content in summary["arms"].items() for point in content["points"]]
        self.table("accuracy_against_flops", columns, [[point[name] for name in columns] for point in points])
        try:
            from dlmreason.reports.figure import plotly

            self.figure("accuracy_against_flops_figure", plotly(summary))
        except Exception as error:
            _say(f"the W&B figure could not be drawn ({error}); figure.svg is there")
        if page is not None:
            self.page("report", page)
        best = {
            f"accuracy/{arm}": content["points"][-1]["accuracy"]
            for arm, content in summary["arms"].items()
            if content["points"]
        }
        self.summary({"verdict": summary["verdict"], **best})

    def finish(self, exit_code: int = 0, patience: float = PATIENCE) -> None:
        """Ends the run in W&B and waits for it at most `patience` seconds."""
        if self._process is None or self._finished:
            return
        self._send("finish", {"exit_code": exit_code})
        self._finished = True
        try:
            if not self._lost:
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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
