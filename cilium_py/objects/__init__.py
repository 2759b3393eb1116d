"""The prebuilt BPF objects, built by `make build` from bpf_src/."""

from pathlib import Path

DIRECTORY = Path(__file__).parent
