"""The events that a node's programs report: read, taken apart, filtered, and put into words."""
