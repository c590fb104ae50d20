"""What is said where something that is needed is not there: an extra, or the kind of system."""

NOT_POSIX = "authstore stands on POSIX (locks, links and modes of files): on Windows run it in WSL 2 or a container"


def missing(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """The error that says what to install; a module of our own that is not there is an error as it stands."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "authstore"):
        return error
    if package == "fcntl":
        return ModuleNotFoundError(NOT_POSIX, name=package)
    return ModuleNotFoundError(f"{package} is not installed: pip install 'authstore[{extra}]'", name=error.name)
