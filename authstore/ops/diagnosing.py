"""What is set up wrongly, what is broken, and how to mend it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from authstore.adapter import Adapter, Keys
from authstore.backends.inspection import Symptom, symptom_of
from authstore.connect import connect
from authstore.encryption import Cipher
from authstore.errors import AuthStoreError, StoreClosedError, StoreError, StoreMisuseError
from authstore.expiry import LENIENT
from authstore.ops.checks import Rules, checks
from authstore.ops.findings import KINDS, LEVELS, Finding
from authstore.ops.subject import Subject, subject

# Where one of these is the case, what the store holds is not asked for.
_CLOSED = frozenset(
    {
        "missing",
        "foreign",
        "damaged",
        "unreachable",
        "unknown-schema",
        "old-schema",
        "missing-table",
        "network",
        "lost-file",
    }
)
# And where one of these is, nothing is mended: it is not ours, or needs a backup first.
_UNTOUCHED = frozenset({"missing", "foreign", "damaged", "unknown-schema", "network", "lost-file"})
_IDS = {kind.id: name for name, kind in KINDS.items()}


async def doctor(
    url_or_store: str | Path | Adapter, *, keys: Keys = (), fix: bool = False, ignore: Iterable[str] = ()
) -> list[Finding]:
    """Examines a store, worst first; whatever state it is in, that is a list of findings, not an error.

    Reads everything once, by a connection of its own. `keys`: those of `connect`, newest first, by which provider
    tokens are judged; of an open store its own. `fix` mends modes, settings, missing indexes and triggers, statistics,
    the log and dead rows, never people's data. `ignore`: ids that are neither told nor mended.

    Raises `ConfigurationError` for a URL that is none, `ValueError` for an id that is none.
    """
    ignored = {_kind_of(id) for id in ignore}
    try:
        looked_at = subject(url_or_store)
    except (StoreClosedError, StoreMisuseError):
        raise
    except StoreError as error:  # the file system does not even say whether the file is there
        kind = symptom_of(error)
        return [] if kind in ignored else [_finding(kind, str(error), fixed=False)]
    if keys:
        looked_at = replace(looked_at, cipher=Cipher(keys))
    found = await _examine(looked_at, ignored)
    failures = await _mend(looked_at, found) if fix else {}
    left = await _examine(looked_at, ignored) if fix and found else found
    told = {kind: _finding(kind, detail, fixed=kind not in left) for kind, detail in found.items()}
    for kind, detail in left.items():
        reason = f"; not mended: {failures[kind]}" if kind in failures else ""
        told[kind] = _finding(kind, detail + reason, fixed=False)
    return sorted(told.values(), key=lambda each: (LEVELS.index(each.level), each.id))


def _kind_of(id: str) -> str:
    kind = _IDS.get(id if id.startswith("authstore.") else f"authstore.{id}")
    if kind is None:
        raise ValueError(f"there is no finding {id!r}: docs/doctor.md lists them")
    return kind


def _finding(kind: str, detail: str, *, fixed: bool) -> Finding:
    said = KINDS[kind]
    return Finding(said.id, said.level, said.title, detail, said.remedy, said.fixable, fixed)


async def _examine(looked_at: Subject, ignored: set[str]) -> Mapping[str, str]:
    """What is wrong, by kind."""
    symptoms = await looked_at.inspector.examine()
    if not any(each.kind in _CLOSED for each in symptoms):
        is_locked = any(each.kind == "locked" for each in symptoms)  # by whom is told already
        symptoms += [each for each in await _check(looked_at) if not (is_locked and each.kind == "locked")]
    kinds = {each.kind for each in symptoms}
    if "litestream" in kinds and "litestream-behind" not in kinds:
        ignored = ignored | {"no-backup"}
    return {
        kind: "; ".join(each.detail for each in symptoms if each.kind == kind)
        for kind in dict.fromkeys(each.kind for each in symptoms)
        if kind not in ignored
    }


async def _check(looked_at: Subject) -> Sequence[Symptom]:
    policy = looked_at.policy if looked_at.store is not None else LENIENT
    rules = Rules(looked_at.clock(), policy, looked_at.cipher)
    found: list[Symptom] = []
    for check in checks(rules):
        try:
            found += await looked_at.inspector.ask(check)
        except (StoreClosedError, StoreMisuseError):
            raise
        except AuthStoreError as error:
            return [*found, Symptom(symptom_of(error), str(error))]
    return found


async def _mend(looked_at: Subject, found: Mapping[str, str]) -> Mapping[str, str]:
    """Mends what can be mended; what could not be, and why."""
    failures: dict[str, str] = {}
    for kind in () if _UNTOUCHED & found.keys() else found:
        if not KINDS[kind].fixable:
            continue
        try:
            if kind == "dead-rows":
                await _prune(looked_at)
            else:
                await looked_at.inspector.mend(kind)
        except (StoreClosedError, StoreMisuseError):
            raise
        except AuthStoreError as error:
            failures[kind] = str(error)
    return failures


async def _prune(looked_at: Subject) -> None:
    if looked_at.store is not None:
        await looked_at.store.prune()
        return
    async with connect(looked_at.url, create=False, migrate=False, policy=LENIENT) as store:
        await store.prune()
