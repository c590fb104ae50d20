"""Signing in at a provider, by OpenID Connect or OAuth 2.0."""
