"""Following a source that is at work, and the cut-over."""
