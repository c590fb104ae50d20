"""Files of stores that are backups: made, checked, and put in a store's place."""
