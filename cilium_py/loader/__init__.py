"""From a prebuilt object and its configuration to attached, pinned programs."""
