"""The packages: all of `authstore/`, and the SQL beside it, to which `authstore/migrations` points (pyproject.toml: the rest).

`package_dir` has its one entry so that an editable install is a path and not an import hook: type checkers follow paths.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=find_namespace_packages(include=["authstore", "authstore.*"]),
    package_dir={"": "."},
    package_data={"": ["py.typed", "*.sql", "*.toml", "*.html", "*.css", "*.js", "*.svg"]},
)
