"""Laws of the meters: what is read is what happened in between, and where a device does not tell, it is said why."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dlmreason.compute.measure import (
    CudaPeak,
    HostPeak,
    Measured,
    Meters,
    Nvml,
    Rapl,
    Seconds,
    Told,
    measured,
    meters_of,
)


def test_seconds_are_those_in_between_and_the_device_is_waited_for() -> None:
    said: list[str] = []
    times = iter([10.0, 12.5])

    def clock() -> float:
        said.append("clock")
        return next(times)

    meter = Seconds(lambda: said.append("wait"), clock)
    meter.begin()
    said.append("work")
    assert meter.end() == Told(2.5)
    assert said == ["wait", "clock", "work", "wait", "clock"]


def test_the_process_is_as_large_as_what_it_holds() -> None:
    meter = meters_of(torch.device("cpu")).peak_bytes
    meter.begin()
    before = meter.end().value
    held = bytearray(b"1" * 2**28)
    after = meter.end().value
    assert before is not None and after is not None
    assert after >= len(held) and before > 2**24 and after >= before
    assert HostPeak(lambda: 7).end() == Told(7)


def test_memory_of_a_device_is_reset_before_it_is_read() -> None:
    device, said = torch.device("cuda:1"), []
    cuda = SimpleNamespace(
        reset_peak_memory_stats=lambda of: said.append(("reset", of)),
        max_memory_allocated=lambda of: said.append(("read", of)) or 99,
    )
    meter = CudaPeak(device, cuda)
    meter.begin()
    assert meter.end() == Told(99) and said == [("reset", device), ("read", device)]


def package(root: Path, name: str, energy: int, most: int = 1000) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    return folder / "energy_uj"


def test_energy_of_processors_is_that_of_their_packages_over_the_range_of_the_counter(tmp_path: Path) -> None:
    one, two = package(tmp_path, "intel-rapl:0", 100), package(tmp_path, "intel-rapl:1", 900)
    part = package(tmp_path, "intel-rapl:0:0", 0)
    meter = Rapl(tmp_path)
    meter.begin()
    one.write_text("350\n")
    two.write_text("20\n")  # 100 up to its range, and 20
    part.write_text("200\n")  # in that of its package
    assert meter.end() == Told(pytest.approx((250 + 120) / 1e6))


def test_a_processor_that_does_not_tell_says_why(tmp_path: Path) -> None:
    meter = Rapl(tmp_path / "nowhere")
    meter.begin()
    value, reason = meter.end()
    assert value is None and "no energy counters of a processor in" in reason
    package(tmp_path, "intel-rapl:0", 1).unlink()
    meter = Rapl(tmp_path)
    meter.begin()
    value, reason = meter.end()
    assert value is None and "cannot be read" in reason and "energy_uj" in reason
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("5\n")
    meter.begin()
    assert meter.end() == Told(0.0)


class FakeNvml:
    class NVMLError(Exception):
        pass

    def __init__(self, *readings: int) -> None:
        self.readings, self.asked = iter(readings), []

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.asked.append(uuid)
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        reading = next(self.readings, None)
        if reading is None:
            raise self.NVMLError("Not Supported")
        return reading


@pytest.mark.parametrize("uuid", ["ab-12", "GPU-ab-12"])
def test_energy_of_a_device_is_in_joules_and_of_the_very_device(uuid: str) -> None:
    nvml = FakeNvml(5_000, 7_500)
    meter = Nvml(uuid, nvml)
    meter.begin()
    assert meter.end() == Told(2.5) and set(nvml.asked) == {"GPU-ab-12"}


@pytest.mark.parametrize(("nvml", "says"), [(None, "nvidia-ml-py is not installed"), (FakeNvml(), "Not Supported")])
def test_a_device_that_does_not_tell_says_why(nvml: Any, says: str) -> None:
    meter = Nvml("ab-12", nvml)
    meter.begin()
    value, reason = meter.end()
    assert value is None and says in reason


def test_the_clock_starts_last_and_stops_first() -> None:
    said: list[str] = []

    class Fake:
        def __init__(self, name: str) -> None:
            self.name = name

        def begin(self) -> None:
            said.append(f"{self.name} begins")

        def end(self) -> Told:
            said.append(f"{self.name} ends")
            return Told(None, self.name)

    told = measured(lambda: said.append("work"), Meters(Fake("clock"), Fake("memory"), Fake("energy")))
    assert told == Measured(*(Told(None, name) for name in ("clock", "memory", "energy")))
    assert said[2:5] == ["clock begins", "work", "clock ends"] and said[0] == "energy begins"


@pytest.mark.gpu
def test_a_device_tells_its_memory() -> None:
    device = torch.device("cuda")
    told = measured(lambda: torch.zeros(2**20, dtype=torch.float32, device=device).sum().item(), meters_of(device))
    assert told.peak_bytes.value is not None and told.peak_bytes.value >= 4 * 2**20
    assert (told.seconds.value or 0) > 0
    assert told.joules.value is not None or told.joules.reason
