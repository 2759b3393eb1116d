"""Nodes and pods as network namespaces on one machine."""
