"""The change log from outside: followed, checked, and told in the words that other systems know."""
