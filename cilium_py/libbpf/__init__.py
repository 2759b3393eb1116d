"""libbpf and bpf(2), function by function, through ctypes. `library()` loads it, once; importing does not."""

from cilium_py.libbpf.checkers import ENOTSUPP
from cilium_py.libbpf.library import Library, library
from cilium_py.libbpf.verifier import VerifierError

__all__ = ["ENOTSUPP", "Library", "VerifierError", "library"]
