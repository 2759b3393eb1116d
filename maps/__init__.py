"""One file a map family: its layout, its row, the words of its command."""
