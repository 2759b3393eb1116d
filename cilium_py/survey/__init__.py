"""Programs in the kernel, where they are attached, and which maps they use: looked at once, then plain data."""
