"""A Cilium node in Python: its maps, read and edited; its datapath, loaded and run."""

__version__ = "0.1.0"
