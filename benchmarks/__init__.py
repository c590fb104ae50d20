"""Measures authstore against others, in one run, on the machine at hand."""
