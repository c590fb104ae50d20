"""Signing in by a passkey (WebAuthn)."""
