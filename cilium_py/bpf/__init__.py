"""BPF objects over file descriptors: maps, programs, links, buffers, BTF."""
