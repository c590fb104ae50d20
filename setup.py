"""The packages: all of `authstore/`, and the SQL beside it as `authstore.migrations` (the rest: pyproject.toml)."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["authstore", "authstore.*"]), "authstore.migrations"],
    package_dir={"authstore.migrations": "migrations"},
    package_data={"": ["py.typed", "*.sql", "*.toml", "*.html", "*.css", "*.js", "*.svg"]},
)
