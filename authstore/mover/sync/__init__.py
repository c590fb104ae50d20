"""The loop: making the target equal to the source, comparing them, taking a move back."""
