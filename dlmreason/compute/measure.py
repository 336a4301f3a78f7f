"""What a piece of work took on a device: seconds, peak memory, energy.

This file decides how each is read, and says why where a device does not tell. Energy is that of the whole device, so it
speaks of the work only where nothing else runs there. It knows no arm and no network.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of processors (RAPL)."""


class Told(NamedTuple):
    """What a meter says."""

    value: float | None
    reason: str = ""  # why there is no value


class Meter(Protocol):
    """Reads one quantity of the work between `begin` and `end`."""

    def begin(self) -> None: ...

    def end(self) -> Told: ...


@dataclass
class Seconds:
    """By a clock that never goes back. synchronise: waits until the device has done all it was asked."""

    synchronise: Callable[[], object] = lambda: None
    clock: Callable[[], float] = time.perf_counter
    _began: float = 0.0

    def begin(self) -> None:
        self.synchronise()
        self._began = self.clock()

    def end(self) -> Told:
        self.synchronise()
        return Told(self.clock() - self._began)


def _resident() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@dataclass
class HostPeak:
    """Bytes of the process at their peak, which no one can reset: since its start, weights and libraries included."""

    read: Callable[[], int] = _resident

    def begin(self) -> None:
        pass

    def end(self) -> Told:
        return Told(self.read())


@dataclass
class CudaPeak:
    """Bytes of tensors on a CUDA device at their peak, weights included. cuda: as `torch.cuda`."""

    device: torch.device
    cuda: Any = torch.cuda

    def begin(self) -> None:
        self.cuda.reset_peak_memory_stats(self.device)

    def end(self) -> Told:
        return Told(self.cuda.max_memory_allocated(self.device))


@dataclass
class Rapl:
    """Joules of all processor packages, by the counters in `root`; the parts of a package are in its own."""

    root: Path = POWERCAP
    _began: dict[Path, int] = field(default_factory=dict)
    _reason: str = ""

    def begin(self) -> None:
        self._began, self._reason = {}, ""
        packages = sorted(each for each in self.root.glob("intel-rapl:*") if each.name.count(":") == 1)
        if not packages:
            self._reason = f"no energy counters of a processor in {self.root}"
        try:
            self._began = {each: _number(each / "energy_uj") for each in packages}
        except OSError as error:
            self._reason = f"the energy counters cannot be read: {error}"

    def end(self) -> Told:
        if self._reason:
            return Told(None, self._reason)
        return Told(sum(self._since(package, began) for package, began in self._began.items()) / 1e6)

    def _since(self, package: Path, began: int) -> int:
        now = _number(package / "energy_uj")
        # A counter begins anew at its range.
        return now - began if now >= began else now - began + _number(package / "max_energy_range_uj")


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


@dataclass
class Nvml:
    """Joules of an NVIDIA device since its driver was loaded, by the difference of two readings.

    The device adds to its counter some ten times a second, so the work should take seconds. nvml: as the module
    `pynvml`; None where it is not installed.
    """

    uuid: str  # of the device, as `torch.cuda.get_device_properties` has it
    nvml: Any
    _began: int = 0
    _reason: str = ""

    def begin(self) -> None:
        self._reason = ""
        if self.nvml is None:
            self._reason = "the package nvidia-ml-py is not installed"
            return
        try:
            self.nvml.nvmlInit()
            self._began = self._millijoules()
        except self.nvml.NVMLError as error:
            self._reason = f"the device does not tell its energy: {error}"

    def end(self) -> Told:
        return Told(None, self._reason) if self._reason else Told((self._millijoules() - self._began) / 1e3)

    def _millijoules(self) -> int:
        handle = self.nvml.nvmlDeviceGetHandleByUUID(f"GPU-{self.uuid.removeprefix('GPU-')}")
        return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(handle))


class Meters(NamedTuple):
    """Those of one device."""

    seconds: Meter
    peak_bytes: Meter
    joules: Meter


def meters_of(device: torch.device) -> Meters:
    """The meters of the processor or of a CUDA device."""
    if device.type != "cuda":
        return Meters(Seconds(), HostPeak(), Rapl())
    try:
        import pynvml  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        pynvml = None
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    return Meters(Seconds(lambda: torch.cuda.synchronize(device)), CudaPeak(device), Nvml(uuid, pynvml))


class Measured(NamedTuple):
    """What the meters told of one piece of work."""

    seconds: Told
    peak_bytes: Told
    joules: Told


def measured(work: Callable[[], object], meters: Meters) -> Measured:
    """Does the work once, between the meters: the clock starts last and stops first."""
    for meter in reversed(meters):
        meter.begin()
    work()
    return Measured(*(meter.end() for meter in meters))
