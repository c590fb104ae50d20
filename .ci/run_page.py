"""Runs every Python block of a page, for pages whose blocks need what the tests do without: `run_page.py PAGE`."""

import ast
import asyncio
import inspect
import os
import re
import sys
import tempfile
from pathlib import Path
from types import CodeType


def main(page: str) -> int:
    text = Path(page).read_text("utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for block in blocks:
            line = text.count("\n", 0, block.start()) + 1
            code = compile("\n" * line + block[1], page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            assert isinstance(code, CodeType)
            names: dict[str, object] = {"__name__": "__main__"}
            ran = eval(code, names)
            if code.co_flags & inspect.CO_COROUTINE:
                asyncio.run(ran)
    print(f"{page}: {len(blocks)} blocks ran")
    return 0 if blocks else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
