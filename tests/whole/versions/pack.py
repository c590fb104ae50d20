"""Takes older versions of the package out of the history, without their migrations: `make older-versions`.

A released migration never changes, so the tests give each the first of those that there are now.
"""

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
# The last commit whose newest migration has the number in the name.
COMMITS = {
    "schema1": "d9cfb00e2a9289a099db89baa20cfe18d70c71a8",
    "schema4": "361c81c146df614aa9f2b3dbf39fb032c054e3a0",
}
# What serves a store, looks after it and is asked on the command line.
ROOMS = ("authstore/backends", "authstore/cli", "authstore/ops", "authstore/store")


def pack(name: str, commit: str) -> str:
    """Writes one archive, the same bytes each time, and gives its SHA-256."""
    command = ["git", "archive", "--format=tar", commit, "authstore"]
    sources = subprocess.run(command, cwd=HERE.parents[2], capture_output=True, check=True).stdout
    file = HERE / f"{name}.zip"
    with tarfile.open(fileobj=io.BytesIO(sources)) as tar, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            folder = member.name.rpartition("/")[0]
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None and (folder == "authstore" or folder.startswith(ROOMS)):
                archive.writestr(zipfile.ZipInfo(member.name), content.read(), zipfile.ZIP_DEFLATED)
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    for name, commit in COMMITS.items():
        print(pack(name, commit), f"{name}.zip")  # whoever runs this writes it into the README
