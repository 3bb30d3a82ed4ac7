"""What this machine does at best in matrix products and memory copies, so that figures can be compared across
machines.

    python -m benchmarks.machine [--json]
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from sightline.foundation.hardware import available_cores, processor_name

# Sizes of square matrices of which three fit into the second or third level of today's caches.
GEMM_SIZES = (384, 512, 768, 1024)


@dataclass(frozen=True)
class Machine:
    """A machine and its measured limits."""

    processor: str
    system: str
    cores: int
    """that this process may use"""
    threads: int
    """that PyTorch uses"""
    torch_version: str
    fp32_gflops: float
    """float32 matrix products"""
    bf16_gflops: float
    """bfloat16 matrix products; far below float32 where the processor has no instructions for them"""
    copy_gbytes: float
    """memory copied, counted once as it is read and once as it is written, 1e9 bytes per second"""

    def lines(self) -> list[str]:
        """The same for people."""
        return [
            f"{self.processor}, {self.cores} cores, {self.threads} PyTorch threads, {self.system},"
            f" PyTorch {self.torch_version}",
            f"matrix products: {self.fp32_gflops:.0f} GFLOP/s in float32,"
            f" {self.bf16_gflops:.0f} GFLOP/s in bfloat16;"
            f" memory copies: {self.copy_gbytes:.1f} GB/s (read and written)",
        ]


def median_seconds(call: Callable[[], object], seconds: float, least: int = 5) -> float:
    """Median time of a call, made again and again for about `seconds` and `least` times or more."""
    call()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < least or time.perf_counter() - began < seconds:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def gemm_gflops(dtype: torch.dtype, sizes: tuple[int, ...] = GEMM_SIZES, seconds: float = 0.3) -> float:
    """Best rate of PyTorch's product of two square matrices over some sizes, GFLOP/s."""
    rates = []
    for size in sizes:
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        out = torch.empty(size, size, dtype=dtype)
        rates.append(2 * size**3 / median_seconds(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), seconds))
    return max(rates) / 1e9


def copy_gbytes(megabytes: int = 256, seconds: float = 0.5) -> float:
    """Rate of copying memory that fits into no cache: 1e9 bytes per second, read and written ones added."""
    source = torch.ones(megabytes * 2**20 // 4)
    target = torch.empty_like(source)
    return 2 * megabytes * 2**20 / median_seconds(lambda: target.copy_(source), seconds) / 1e9


def measure_machine(seconds: float = 0.3) -> Machine:
    """Measure this machine; takes about ten times `seconds`."""
    return Machine(
        processor=processor_name(),
        system=f"{platform.system()} {platform.machine()}",
        cores=available_cores(),
        threads=torch.get_num_threads(),
        torch_version=torch.__version__,
        fp32_gflops=gemm_gflops(torch.float32, seconds=seconds),
        bf16_gflops=gemm_gflops(torch.bfloat16, seconds=seconds),
        copy_gbytes=copy_gbytes(seconds=seconds),
    )


def main() -> None:
    """Print the machine's limits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument("--seconds", type=float, default=0.3, help="time for each measurement")
    arguments = parser.parse_args()
    machine = measure_machine(arguments.seconds)
    print(json.dumps(asdict(machine), indent=2) if arguments.json else "\n".join(machine.lines()))


if __name__ == "__main__":
    main()
