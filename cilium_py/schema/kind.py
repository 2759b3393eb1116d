"""What kind of BPF map the entries of a layout lie in."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """The kernel's map types that a reader takes for the same, by their names in lower case."""

    HASH = ("hash", "lru_hash")
    TRIE = ("lpm_trie",)
    ARRAY = ("array",)
    PER_CPU_HASH = ("percpu_hash", "lru_percpu_hash")
    PER_CPU_ARRAY = ("percpu_array",)
    PROGRAMS = ("prog_array",)
    MAPS = ("hash_of_maps",)

    @property
    def per_cpu(self) -> bool:
        return self in (Kind.PER_CPU_HASH, Kind.PER_CPU_ARRAY)

    @property
    def can_delete(self) -> bool:
        """Whether the kernel can take an element out: those of an array are always there."""
        return self not in (Kind.ARRAY, Kind.PER_CPU_ARRAY)

    def __str__(self) -> str:
        return " or ".join(self.value)
