"""Netlink: links, addresses, routes, namespaces, tc filters. pyroute2 is imported here only."""
