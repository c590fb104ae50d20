"""The tour: what authstore does, step by step, on real parts."""
