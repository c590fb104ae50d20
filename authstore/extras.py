"""What a room says when the extra that it needs is not installed."""


def missing(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """The error that says what to install; a module of our own that is not there is an error as it stands."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "authstore"):
        return error
    return ModuleNotFoundError(f"{package} is not installed: pip install 'authstore[{extra}]'", name=error.name)
