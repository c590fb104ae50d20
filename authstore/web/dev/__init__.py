"""For a laptop alone: `Auth.dev()`. A provider in this process, letters on a page, and an address that stays here."""

from authstore.web.dev.address import LocalAddress
from authstore.web.dev.laptop import LETTERS, SECRET, Laptop
from authstore.web.dev.people import NAME as PRETEND

__all__ = ["LETTERS", "PRETEND", "SECRET", "Laptop", "LocalAddress"]
