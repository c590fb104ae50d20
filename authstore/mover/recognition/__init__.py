"""Which table of the source plays which role. Asks nobody: the catalogue is all it sees."""
