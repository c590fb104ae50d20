"""The nine tables of authstore's own: what the recognised tables become in them."""
