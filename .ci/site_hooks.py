"""Hooks of the site: links out of docs/ go to the repository, and no page loads anything from elsewhere."""

import logging
import re
from pathlib import Path
from typing import Any

log = logging.getLogger("mkdocs.hooks.authstore")  # a warning there ends a strict build

_OUT = re.compile(r"(\]\(|src=\"|srcset=\")((?:\.\./)+)([^)#\"]+)")
_ELSEWHERE = r"=\"?(?:https?:)?//[^\"> ]+"
_LOADED = re.compile(
    rf"<(?:script|img|iframe|source|video|audio)\b[^>]*\b(?:src|srcset){_ELSEWHERE}"
    rf"|<link\b(?![^>]*rel=\"?(?:canonical|alternate|edit|prev|next)\b)[^>]*href{_ELSEWHERE}"
)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: object) -> str:
    root = Path(config["config_file_path"]).parent

    def led(match: re.Match[str]) -> str:
        target = (Path(page.file.abs_src_path).parent / match[2] / match[3]).resolve()
        if target.is_relative_to(config["docs_dir"]) or not target.exists():
            return match[0]  # a page of ours; or broken, as MkDocs will say
        kind = "tree" if target.is_dir() else "blob"
        return f"{match[1]}{config['extra']['repository']}/{kind}/main/{target.relative_to(root).as_posix()}"

    return _OUT.sub(led, markdown)


def on_post_page(output: str, *, page: Any, **_: object) -> str:
    for loaded in _LOADED.findall(output):
        log.warning("%s loads from elsewhere: %s", page.file.src_uri, loaded)
    return output
