"""Parts of the SQL that asks the source."""

import json
from collections.abc import Mapping, Sequence

from authstore.mover.names import literal


def text_array(texts: Sequence[str]) -> str:
    """Texts as a constant array."""
    quoted = ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return f"{literal('{' + quoted + '}')}::text[]"


def is_any(sql: str, texts: Sequence[str]) -> str:
    """Predicate, never null: the text is one of these. COALESCE also keeps it hashed when it is negated (before 15)."""
    return f"COALESCE({sql} = ANY ({text_array(texts)}), FALSE)" if texts else "FALSE"


def json_map(pairs: Mapping[str, str]) -> str:
    """A constant to look texts up in, by `->>`."""
    return f"{literal(json.dumps(pairs, ensure_ascii=False))}::jsonb"
