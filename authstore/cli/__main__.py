"""`python -m authstore.cli`."""

from authstore.cli import main

main()
