"""Maps as they once were: saved by us, dumped by bpftool, or found in an archive of Cilium's bugtool.

Whatever is read here came from elsewhere and is believed nothing: sizes are checked before memory is taken, names
before they meet a file system, and no more is held at once than a batch of entries.
"""
