"""What an endpoint lets pass."""
