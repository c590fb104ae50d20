"""One wrong line at a time: where, what stands there, what is put in its place, and which tests must notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` stands in the file once, or the first time it does is meant. `tests` are pytest's arguments."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _contract(rules: str, where: str = "InMemory") -> tuple[str, ...]:
    return ("tests/backends/sqlite/test_contract_sqlite.py", "-k", f"{where} and ({rules})")


EXPIRY, TOKENS, EMAIL = "authstore/expiry.py", "authstore/tokens.py", "authstore/email.py"
QUERIES, USERS = "authstore/queries.sql", "authstore/store/users.py"
FOUND, SESSIONS = (f"authstore/store/sessions/{name}.py" for name in ("reading", "writing"))
SIGN_IN, ROLES, PROOFS = (f"authstore/store/{name}.py" for name in ("sign_in", "roles", "verification_tokens"))
UNITS, TRANSACTION, DATABASE, OPENING, WRITES, GATHERED = (
    f"authstore/backends/sqlite/{name}.py"
    for name in ("units", "transaction", "database", "opening", "writes", "gathered")
)
GATHERING = "authstore/backends/gathering.py"
REDIRECTS, COOKIES, CSRF = (f"authstore/web/{name}.py" for name in ("redirects", "visitors/cookies", "visitors/csrf"))
NAMES = "authstore/mover/names.py"
EQUALISE, PIECES, START, VERIFY = (
    f"authstore/mover/sync/{name}.py" for name in ("equalise", "pieces", "start", "verify")
)
LEDGER = "authstore/mover/sqlite/ledger.py"
RECOGNISE, CONCEALED = (f"authstore/mover/recognition/{name}.py" for name in ("recognise", "concealed"))
USER_LINK, REJECTS = "authstore/mover/auth/user_link.py", "authstore/mover/carried/rejects.py"
ENDINGS, SLICES = "authstore/store/sessions/endings.py", "authstore/store/sessions/slices.py"
TEXTS = "authstore/backends/sqlite/texts.py"
VISITS, PRUNING, REFRESH, HEALTH = (f"authstore/store/{name}.py" for name in ("visits", "pruning", "refresh", "health"))
FILE, VOLUME = (f"authstore/backends/sqlite/{name}.py" for name in ("file", "volume"))
PG_DATABASE, PG_POOL, PG_DRIVER = (f"authstore/backends/postgres/{name}.py" for name in ("database", "pool", "driver"))

_EXPIRY, _TOKENS, _EMAIL = ("tests/test_expiry.py",), ("tests/test_tokens.py",), ("tests/test_email.py",)
_SLIDING = "UnderOtherPolicies"
_COOKIES, _REDIRECTS = ("tests/web/visitors/test_cookies.py",), ("tests/web/test_redirects.py",)
_BROWSERS = ("tests/web/advisories/test_advisories_browser.py", "tests/web/oauth/test_login.py")
_MOVER_NAMES = ("tests/mover/test_names.py",)
_MANY = ("tests/store/test_many_sessions.py",)
_UNREADABLE = ("tests/store/test_unreadable.py", "-k", "no_text or events")
_TARGETS = "tests/mover/sync/test_target.py"
_MOVES, _VERIFIES = "tests/mover/sync/test_move.py", "tests/mover/sync/test_verify.py"
_PIECES, _RECOGNISES = ("tests/mover/sync/test_pieces.py",), ("tests/mover/recognition/test_recognise.py",)
_LINKS = ("tests/mover/auth/test_user_link.py",)
_REJECTS = ("tests/mover/carried/test_rejects.py",)
_REFRESHING = "tests/store/test_refreshing.py"
_GATHERED = "tests/backends/sqlite/test_gathered.py"
_PLACES = "tests/backends/sqlite/test_places.py"
_ON_POSTGRES = "tests/backends/postgres/test_store.py"

MUTANTS = (
    # expiry
    Mutant(EXPIRY, "    return now < expires\n", "    return now <= expires\n", _EXPIRY),
    Mutant(EXPIRY, "        now < expires\n", "        now <= expires\n", _EXPIRY),
    Mutant(EXPIRY, "now - created_at < policy.lifetime", "now - created_at <= policy.lifetime", _EXPIRY),
    Mutant(EXPIRY, "now - last_used_at < policy.idle", "now - last_used_at <= policy.idle", _EXPIRY),
    Mutant(EXPIRY, "else min(wanted, limit)", "else max(wanted, limit)", _EXPIRY),
    Mutant(EXPIRY, "else end_of(now, policy.idle)", "else end_of(created_at, policy.idle)", _EXPIRY),
    Mutant(EXPIRY, "unnoted >= policy.touch_every", "unnoted > policy.touch_every", _EXPIRY),
    Mutant(EXPIRY, "2 * unnoted >= policy.idle", "unnoted >= policy.idle", _EXPIRY),
    Mutant(EXPIRY, "        return start + limit", "        return start", _EXPIRY),
    Mutant(EXPIRY, "        return now - limit", "        return now", _EXPIRY),
    Mutant(EXPIRY, "<= timedelta(0)", "< timedelta(0)", _EXPIRY),
    Mutant(EXPIRY, "idle=timedelta(hours=1)", "idle=timedelta(hours=2)", _EXPIRY),
    # secrets and addresses
    Mutant(TOKENS, "token_urlsafe(32)", "token_urlsafe(16)", _TOKENS),
    Mutant(TOKENS, "hashlib.sha256(", "hashlib.sha1(", _TOKENS),
    Mutant(TOKENS, "MIN_TOKEN_LENGTH = 16", "MIN_TOKEN_LENGTH = 15", _contract("token")),
    Mutant(TOKENS, "MAX_TOKEN_LENGTH = 512", "MAX_TOKEN_LENGTH = 513", _contract("token")),
    Mutant(TOKENS, "0 < length == len(token)", "0 <= length == len(token)", _TOKENS),
    Mutant(EMAIL, "MAX_LENGTH = 254", "MAX_LENGTH = 255", _EMAIL),
    Mutant(EMAIL, 'return unicodedata.normalize("NFC", address)', "return address", _EMAIL),
    Mutant(EMAIL, 'unicodedata.normalize("NFC", character).isascii()', "False", _EMAIL),
    Mutant(EMAIL, "address.strip(_ASCII_SPACE)", "address", _EMAIL),
    Mutant(EMAIL, "{local[:1]}…{at}", "{local[:3]}…{at}", _EMAIL),
    # queries
    Mutant(QUERIES, "id > :after ORDER BY id LIMIT :limit", "id >= :after ORDER BY id LIMIT :limit", _contract("page")),
    Mutant(QUERIES, "FROM users WHERE id > :after ORDER BY id", "FROM users WHERE id > :after ORDER BY created_at, id",
           _contract("order_of_ids or pages")),
    Mutant(QUERIES, "WHERE id = :user_id AND NOT disabled)", "WHERE id = :user_id)", _contract("disabl")),
    Mutant(QUERIES, "'$.user_id') AND NOT disabled)", "'$.user_id'))", _contract("disabl")),
    Mutant(QUERIES, "(created_at, id) < (:before, :before_id)", "created_at < :before",
           ("tests/store/test_many_rows.py", "-k", "page")),
    Mutant(QUERIES, "AND (created_at, id) > (:after, :after_id) ORDER", "AND created_at > :after ORDER", _MANY),
    Mutant(QUERIES, " AND NOT (SELECT disabled FROM users WHERE id = :user_id)", "",
           ("tests/store/test_many_sessions.py", "-k", "plain_sql")),
    Mutant(QUERIES, "    UPDATE change_log SET acting_at = NULL, actor = NULL;\nEND", "END",
           (_GATHERED, "-k", "plain_sql")),
    Mutant(QUERIES, " OR EXISTS (SELECT 1 FROM users WHERE email = NEW.email);", ";",
           (_GATHERED, "-k", "address_is_taken")),
    Mutant(QUERIES, " AND coalesce(refresh_holder, '') = :former", "", _contract("refresh or asks or holder")),
    Mutant(QUERIES, "refresh_count = refresh_count + 1", "refresh_count = refresh_count", _contract("refresh or asks")),
    Mutant(QUERIES, " AND id <> :except_id LIMIT", " LIMIT", _contract("spare")),
    Mutant(QUERIES, "ORDER BY last_used_at DESC, created_at DESC, id DESC", "ORDER BY created_at DESC, id DESC",
           _contract("limit_per_user", _SLIDING)),
    Mutant(QUERIES, "id <> :new_id AND expires > :now AND", "id <> :new_id AND", _contract("limit_per_user", _SLIDING)),
    Mutant(QUERIES, "FILTER (\n    WHERE expires <= :now OR created_at",
           "FILTER (\n    WHERE expires < :now OR created_at",
           _contract("dead or go or stay")),
    Mutant(QUERIES, "AND purpose = :purpose AND expires > :now\n    ORDER BY id DESC",
           "AND purpose = :purpose\n    ORDER BY id DESC", _contract("dead_take_no_place")),
    Mutant(QUERIES, "ORDER BY id DESC LIMIT 9223372036854775807", "ORDER BY created_at DESC LIMIT 9223372036854775807",
           _contract("made_last")),
    Mutant(QUERIES, "identifier = :identifier AND purpose = :purpose AND token_hash = :token_hash\nRETURNING",
           "identifier = :identifier AND token_hash = :token_hash\nRETURNING", _contract("wrong_guess")),
    Mutant(QUERIES, "WHERE user_id = :user_id ORDER BY created_at, id", "WHERE user_id = :user_id ORDER BY id",
           _contract("oldest_first")),
    Mutant(QUERIES, "counter < :counter OR", "counter <= :counter OR", _contract("counter")),
    Mutant(QUERIES, " OR (counter = 0 AND :counter = 0)", "", _contract("counter or never_counts")),
    Mutant(QUERIES, "counter = :counter, last_used_at = :now", "counter = :counter", _contract("counter")),
    # the store
    Mutant(USERS, "    if new.disabled:\n", "    if False:\n", _contract("disabl")),
    Mutant(USERS, 'owners[0]["id"] != user.id', "True", _contract("own_address or an_update")),
    Mutant(USERS, "    if not changes:\n", "    if changes == {'name': None}:\n", _contract("an_update")),
    Mutant(USERS, '        if row["email"] is not None:\n', "        if False:\n",
           _contract("deleted_user or tokens_for")),
    Mutant(SESSIONS, "        if session.expires > limit:\n", "        if False:\n", _contract("clamped")),
    Mutant(SESSIONS, "self._slid(session, now, rows.asked_expiry(row))", "self._slid(session, now, None)",
           _contract("touch_never", _SLIDING)),
    Mutant(FOUND, "user.disabled or not self._is_alive(session, now)", "user.disabled",
           _contract("dies or dead")),
    Mutant(SESSIONS, 'row["expires_asked"] if isinstance(asked, Unset) else asked', "None",
           _contract("touch_never", _SLIDING)),
    Mutant(PROOFS, "OUTSTANDING = 5", "OUTSTANDING = 6", _contract("five")),
    Mutant(PROOFS, "    if not is_alive(found.expires, now):\n", "    if False:\n",
           _contract("expiry_instant or shorter")),
    Mutant(SIGN_IN, "email_verified is True and address", "email_verified and address",
           _contract("vouches or without")),
    Mutant(SIGN_IN, "        if not self.trusted:\n", "        if False:\n", _contract("without or look_alike")),
    Mutant(SIGN_IN, "        if user.email_verified is None:\n", "        if False:\n", _contract("alone")),
    Mutant(SIGN_IN, "self.current_user_id not in (None, owner)", "False", _contract("somebody_else")),
    Mutant(ROLES, "    if new.permissions != old.permissions:\n", "    if new.permissions:\n",
           _contract("permissions or role")),
    Mutant(ROLES, "new.name != name and (yield", "False and (yield", _contract("renamed")),
    # visits
    Mutant(VISITS, '"expires": min(asked.expires, limit)', '"expires": asked.expires', _contract("visit")),
    Mutant(VISITS, "slid if self._policy.lifetime is None else old.expires", "old.expires",
           _contract("use_keeps_a_visit", _SLIDING)),
    Mutant(VISITS, ", wanted=rows.asked_expiry(row))", ")", _contract("use_never_goes_beyond", _SLIDING)),
    Mutant(VISITS, "new_session_token(old.id) if rotate else token", "token", _contract("visit")),
    Mutant(VISITS, "not self._is_visit_alive(rows.visit(row), now)", "False", _contract("visit")),
    Mutant(QUERIES, "FROM visits WHERE id > :after AND id <= :until ORDER BY id LIMIT",
           "FROM visits WHERE id > :after AND id <= '' ORDER BY id LIMIT", _contract("visit")),
    # refreshing, pruning, health
    Mutant(REFRESH, "return await asyncio.shield(keeping)", "return await keeping", (_REFRESHING, "-k", "who_goes")),
    Mutant(REFRESH, "time.monotonic() + wait >= lease.until", "True", (_REFRESHING, "-k", "outlasts")),
    Mutant(REFRESH, "                    error.fields = fields\n", "", (_REFRESHING, "-k", "on_the_error")),
    Mutant(REFRESH, "            with lease.asking():\n", "            if True:\n",
           (_REFRESHING, "-k", "refused_at_once")),
    Mutant(REFRESH, "not in (None, token)", "!= token", (_REFRESHING, "-k", "sealed_anew")),
    Mutant(REFRESH, 'bool(now.unreadable) and row["updated_at"] != held["updated_at"]', "False",
           (_REFRESHING, "-k", "not_ours")),
    Mutant(PRUNING, "former = await self._former()", "former = ()",
           ("tests/store/test_many_rows.py", "-k", "short_times")),
    Mutant(PRUNING, '_Leg(_ENDED, b"", None), *(', "*(), *(", ("tests/store/test_many_rows.py", "-k", "forgotten")),
    Mutant(PRUNING, "deleted + await self._delete(steps.delete, dead, cutoffs, batch), left", "deleted, left",
           ("tests/store/test_many_rows.py", "-k", "far_apart")),
    Mutant(PRUNING, "min(batch, self._tuning.slice_sessions)", "self._tuning.slice_sessions",
           ("tests/store/test_many_rows.py", "-k", "far_apart")),
    Mutant(HEALTH, "    yield queries.insert_probe()\n    yield queries.delete_probe()\n", "    yield from ()\n",
           ("tests/store/test_many_rows.py", "-k", "health_writes")),
    Mutant(HEALTH, "or isinstance(error, StoreBusyError)", "and not isinstance(error, StoreBusyError)",
           ("tests/store/test_many_rows.py", "-k", "health_answers")),
    # how sessions end, also very many of them
    Mutant(ENDINGS, "        raise ManySessionsError(user_id, ending, except_id, keep)\n", "        return\n", _MANY),
    Mutant(ENDINGS, '<= unused_since]', '<= datetime.max.replace(tzinfo=unused_since.tzinfo)]', _MANY),
    Mutant(ENDINGS, "    yield queries.end_graces(session_id=row[\"id\"], now=rotating.at)\n", "",
           _contract("grace or theft or stolen")),
    Mutant(SLICES, "        if id == many.except_id:\n", "        if False:\n", _MANY),
    Mutant(SLICES, "return await write(make, now), before", "return await write(make, now), 0", _MANY),
    # SQLite
    Mutant(TEXTS, "        return text.decode()\n", '        return text.decode(errors="replace")\n', _UNREADABLE),
    Mutant(UNITS, '            connection.execute("ROLLBACK TO unit")\n', "",
           ("tests/backends/sqlite/test_units.py",)),
    Mutant(UNITS, "    if not written:\n        return frozenset()\n", "", (_GATHERED, "-k", "let_all_pass")),
    Mutant(UNITS, "    if len(written) != len(statements):\n", "    if False:\n", (_GATHERED, "-k", "let_some_pass")),
    Mutant(UNITS, "return [len(packed) - len(value) + 1, len(value)]", "return [1, len(value)]", (_GATHERED,)),
    Mutant(UNITS, "        return frozenset(written)\n", "        return {row[\"id\"] for row in rows}\n",
           (_GATHERED, "-k", "one_new_account")),
    Mutant(UNITS, "    check_place(connection)\n    query, rows", "    query, rows",
           (_GATHERED, "-k", "gone or moved")),
    Mutant(GATHERED, "if self._turn.is_taken:", "if False:", (_GATHERED, "-k", "transaction")),
    Mutant(GATHERING, "self._waiting[statement.query].remove(job)  # it never began", "pass",
           (_GATHERED, "-k", "never_began or cancelled")),
    Mutant(GATHERING, "                await ended(job.together)\n", "                pass\n",
           (_GATHERED, "-k", "cancelled")),
    Mutant(GATHERING, "count = (count + 1) // 2", "pass", (_GATHERED, "-k", "two_hops")),
    Mutant(GATHERING, "and job.key not in taken", "", (_ON_POSTGRES, "-k", "gathered_touches")),
    Mutant(GATHERING, "job.written.set_result(job.key in written)", "job.written.set_result(True)",
           (_GATHERED, "-k", "alone")),
    Mutant(SIGN_IN, "if self.is_likely_new and", "if", (_GATHERED, "-k", "asks_for_no_arrival")),
    Mutant(QUERIES, "WHERE provider = NEW.provider AND", "WHERE false AND", (_GATHERED, "-k", "comes_back_among")),
    Mutant(WRITES, "        await self._gathered.finish()\n", "", (_GATHERED, "-k", "closes")),
    Mutant(UNITS, "v.second, v.microsecond)", "v.second, 0)", _contract("microseconds")),
    Mutant(TRANSACTION, '        connection.execute("ROLLBACK TO nested")\n', "", _contract("undone or alone")),
    Mutant(TRANSACTION,
           '        connection.execute("ROLLBACK TO nested")\n        connection.execute("RELEASE nested")\n',
           '        connection.execute("ROLLBACK TO nested")\n', _contract("undone or levels")),
    Mutant(OPENING, "PRAGMA foreign_keys = ON", "PRAGMA foreign_keys = OFF", _contract("deleted_user or nobody")),
    Mutant(DATABASE, "            await self._end(_abandon)\n", "            await self._end(_commit)\n",
           _contract("undoes_everything")),
    Mutant(FILE, "if is_alone else alone_in", "if not is_alone else alone_in",
           ("tests/ops/test_backup.py", "-k", "hard_links")),
    Mutant(FILE, "    if path.exists():\n        raise FileExistsError", "    if False:\n        raise FileExistsError",
           (_PLACES, "-k", "hard_links")),
    Mutant(FILE, 'self.path + "-wal") != self._log', 'self.path + "-wal") != self._log and False',
           (_PLACES, "-k", "log_that_is_gone")),
    Mutant(VOLUME, "or _is_mount_point(path)", "", (_PLACES, "-k", "mounted_alone")),
    # PostgreSQL
    Mutant(PG_DATABASE, ", patience=_AWAY_SECONDS", "", (_ON_POSTGRES, "-k", "first_look")),
    Mutant(PG_POOL, "self._writing >= max(self._size - 1, 1)", "self._writing >= self._size",
           (_ON_POSTGRES, "-k", "never_grows")),
    Mutant(PG_DRIVER, '"timestamptz", schema=', '"timestamp", schema=', (_ON_POSTGRES, "-k", "infinity")),
    # the web
    Mutant(REDIRECTS, "/(?!/)[", "/[", _REDIRECTS),
    Mutant(REDIRECTS, "len(encoded) <= MAX_LENGTH", "True", _REDIRECTS),
    Mutant(REDIRECTS, "unquote(urlsplit(path).path)", "urlsplit(path).path", (*_REDIRECTS, *_BROWSERS)),
    Mutant(COOKIES, '"__Host-" if is_secure else ""', '""', _COOKIES),
    Mutant(COOKIES, "if len(found) == 1 else None", "if found else None", _COOKIES),
    Mutant(COOKIES, "signing.verify_signature(token, signature) else None", "signature else None", _COOKIES),
    Mutant(COOKIES, "SameSite=Lax", "SameSite=None", _COOKIES),
    Mutant(COOKIES, "len(secret) < MIN_SECRET_LENGTH", "len(secret) < 3", (*_COOKIES, "tests/web/test_auth.py")),
    Mutant(CSRF, '("same-origin", "none")', '("same-origin", "same-site", "none")', _BROWSERS),
    Mutant(CSRF, "    return said is not None\n", "    return False\n", _BROWSERS),
    Mutant(CSRF, 'f"{nonce}.{binding}".encode()', "nonce.encode()", _BROWSERS),
    # the mover
    Mutant(NAMES, """name.replace('"', '""')""", "name", _MOVER_NAMES),
    Mutant(NAMES, """text.replace("'", "''")""", "text", _MOVER_NAMES),
    Mutant(NAMES, "letter.lower() if letter.isascii() else letter", "letter.lower()", _MOVER_NAMES),
    Mutant(NAMES, "{self._as_compared(name) for name in taken}", "set(taken)", _MOVER_NAMES),
    Mutant(EQUALISE, "if compared.judge and not piece.is_as_moved:", "if False:",
           (_VERIFIES, "-k", "application_wrote")),
    Mutant(EQUALISE, "table.outcome.deleted += len(difference.gone)", "table.outcome.deleted += 0",
           (_MOVES, "-k", "catches_up")),
    Mutant(EQUALISE, "    table.writer.delete(gone, unless", "    table.writer.delete(iter(()), unless",
           (_MOVES, "-k", "catches_up")),
    Mutant(EQUALISE, "        if not piece.stretch.holds(digests):\n", "        if False:\n",
           (_MOVES, "-k", "catches_up or ledger")),
    Mutant(PIECES, "if have.get(key) != digest]", "if key not in have]", _PIECES),
    Mutant(PIECES, "else not self.target[0]", "else True", (_VERIFIES, "-k", "application_wrote")),
    Mutant(PIECES, "    return foreign + len(side.keys)", "    return foreign", (_TARGETS, "-k", "rows_that")),
    Mutant(VERIFY, "            elif have[key] != digest:\n", "            elif False:\n",
           (_VERIFIES, "-k", "single_changed")),
    Mutant(LEDGER, '" rows = excluded.rows, digest', '" digest', (_MOVES, "-k", "catches_up or ledger")),
    Mutant(START, 'start.target.get("source") != system', "False", (_TARGETS, "-k", "another_source")),
    Mutant(CONCEALED, "name in secrets", "name in ()", (_TARGETS, "-k", "by_their_hash")),
    Mutant(RECOGNISE, "and not shape.absent & names", "", _RECOGNISES),
    Mutant(RECOGNISE, "        if len(candidates) == 1:\n", "        if candidates:\n", _RECOGNISES),
    Mutant(RECOGNISE, "[found for found in matches if found.certain] or matches", "matches", _RECOGNISES),
    Mutant(USER_LINK, "certain and not column.nullable", "certain", _LINKS),
    Mutant(USER_LINK, ", reference.validated", ", True", _LINKS),
    Mutant(USER_LINK, 'f"lower({sql})" if', "sql if", _LINKS),
    Mutant(REJECTS, "(*self._circles[table.at], *self._spared)", "()", _REJECTS),
    Mutant(REJECTS, "        for key in table.source.keys if self._changes.merged else ():\n",
           "        for key in ():\n", _REJECTS),
)  # fmt: skip

# Which live on, and why that is right: by file and text.
EQUIVALENT = {
    (QUERIES, "WHERE user_id = :user_id ORDER BY created_at, id"): (
        "lives on: ids grow as rows are made, so the orders differ only where the clock went back, and none is promised"
    ),
    (ROLES, "new.name != name and (yield"): (
        "lives on: the primary key refuses the taken name, and its error is ours; asking first spares a failed write"
    ),
}
