"""Sessions and visits: how they are made, used, changed and end."""
