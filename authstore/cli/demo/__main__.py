"""`python -m authstore.cli.demo [--check]`: the whole tour; with `--check` it ends by itself, exit 0 or 1."""

import sys

from authstore.cli.demo import run

if __name__ == "__main__":
    run(is_check="--check" in sys.argv[1:])
