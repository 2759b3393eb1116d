"""Nodes and pods as network namespaces on one machine."""

from cilium_py.lab.registry import DEFAULT_ROOT, Lab, Pod, nodes

__all__ = ["DEFAULT_ROOT", "Lab", "Pod", "nodes"]
