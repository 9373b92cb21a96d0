"""What the figures were measured on, and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import ramet


def machine() -> str:
    """Return the processor, the cores that may be used, the memory, and the system."""
    model, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {cores} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.release()}"


def load() -> list[float]:
    """Return the load average of the last 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def versions(ray: str | None, syne: str | None) -> dict[str, str]:
    """Return the versions of everything that takes part; ``ray`` and ``syne`` are interpreters that have them."""
    return {
        "Python": platform.python_version(),
        "numpy": _installed("numpy"),
        "scikit-learn": _installed("scikit-learn"),
        "JAX": _installed("jax"),
        "Ramet": ramet.__version__,
        "Ray Tune": _of_another(ray, "ray"),
        "Syne Tune": _of_another(syne, "syne-tune"),
    }


def _installed(name: str) -> str:
    """Return the version of a package of this interpreter."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _of_another(python: str | None, name: str) -> str:
    """Return the version of a package of another interpreter."""
    if python is None:
        return "not installed"
    code = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "not installed"
