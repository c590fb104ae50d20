"""authstore keeps who your users are."""

from authstore.adapter import (
    UNSET,
    Accounts,
    Adapter,
    Authenticators,
    Maintenance,
    Roles,
    Sessions,
    Unset,
    Users,
    VerificationTokens,
)
from authstore.connect import connect
from authstore.errors import *  # noqa: F403
from authstore.expiry import SessionPolicy, utc_now
from authstore.models import (
    Account,
    Authenticator,
    Health,
    Permission,
    PruneReport,
    Role,
    Session,
    SignIn,
    User,
    VerificationToken,
)
