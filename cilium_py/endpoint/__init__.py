"""Endpoints: state on disk, identity, regeneration, lifecycle."""
