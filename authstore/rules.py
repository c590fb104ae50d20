"""What every store must judge alike, for people who write an adapter: addresses, texts, tokens, and when things die.

The names here stay; where they are defined is the library's own business.
"""

from authstore.acting import current_actor
from authstore.email import canonical_email, masked_email
from authstore.expiry import (
    END_OF_TIME,
    SessionPolicy,
    end_of,
    end_of_session,
    is_alive,
    is_session_alive,
    is_touch_due,
    oldest_start,
    session_expiry,
    utc_now,
)
from authstore.models import aware_utc, check_text
from authstore.store.verification_tokens import OUTSTANDING, canonical_identifier
from authstore.tokens import MAX_TOKEN_LENGTH, MIN_TOKEN_LENGTH, hash_token, is_presentable, new_secret

__all__ = [
    "END_OF_TIME",
    "MAX_TOKEN_LENGTH",
    "MIN_TOKEN_LENGTH",
    "OUTSTANDING",
    "SessionPolicy",
    "aware_utc",
    "canonical_email",
    "canonical_identifier",
    "check_text",
    "current_actor",
    "end_of",
    "end_of_session",
    "hash_token",
    "is_alive",
    "is_presentable",
    "is_session_alive",
    "is_touch_due",
    "masked_email",
    "new_secret",
    "oldest_start",
    "session_expiry",
    "utc_now",
]
