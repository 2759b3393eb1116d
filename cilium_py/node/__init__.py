"""The node: its addresses, identities and settings."""
