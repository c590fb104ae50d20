"""For the tests of an application: an OpenID provider in this process, an outbox, and being signed in at once."""

from authstore import extras

try:
    from authstore.testing.lies import FORGERIES, Lies
    from authstore.testing.openid import OpenIDProvider, Seen
    from authstore.testing.outbox import Outbox, link_in, text_of
    from authstore.testing.people import Person
    from authstore.testing.signing_in import sign_in
except ModuleNotFoundError as error:
    raise extras.missing(error, "testing") from None

__all__ = ["FORGERIES", "Lies", "OpenIDProvider", "Outbox", "Person", "Seen", "link_in", "sign_in", "text_of"]
