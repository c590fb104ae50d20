"""Every other table of the source: carried over as it is."""
