"""libbpf and bpf(2), function by function, through ctypes."""
