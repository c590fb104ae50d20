"""The packages: all of `authstore/`, and the SQL beside it, to which `authstore/migrations` points.

`package_dir` has one entry so that an editable install is a path, which type checkers follow, and not an import hook.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=find_namespace_packages(include=["authstore", "authstore.*"]),
    package_dir={"": "."},
    package_data={"": ["py.typed", "*.sql", "*.toml", "*.html", "*.css", "*.js", "*.svg", "*.txt"]},
)
