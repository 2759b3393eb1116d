"""The words a map file is written in. Pure: no libbpf, no I/O."""
