"""Every sentence a person reads on the pages and in the letters, in English.

Another voice: `dataclasses.replace(ENGLISH, sign_in_title="Log in", …)`; another language: `Texts(…)` whole. What
stands in braces is filled in with `str.format`; plain text, never HTML.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The sentences, by the place where they stand."""

    language: str = "en"
    direction: str = "ltr"
    skip: str = "Skip to content"
    sign_out: str = "Sign out"

    # sign_in.html
    sign_in_title: str = "Sign in"
    sign_in_to: str = "to continue to {site}"
    sign_in_with: str = "Continue with {provider}"
    sign_in_passkey: str = "Sign in with a passkey"
    sign_in_or: str = "or"
    sign_in_last_used: str = "Last used"
    sign_in_already: str = "You are signed in here as {who}."
    sign_in_continue: str = "Continue as {who}"
    sign_in_nothing: str = "No way to sign in is set up yet."
    email_label: str = "E-mail address"
    email_placeholder: str = "you@example.com"
    email_send: str = "E-mail me a link"

    # why somebody is asked to sign in again
    ended_expired: str = "You were signed in for a long time. Sign in again to go on."
    ended_idle: str = "You were signed out because you had not been here for a while."
    ended_revoked: str = "You were signed out on another device."
    ended_limit: str = "You were signed out because you signed in on too many other devices."
    ended_stolen: str = "You were signed out everywhere this session was used: it was used in two places at once."
    ended_user_disabled: str = "You were signed out because this user has been disabled."
    ended_otherwise: str = "You were signed out. Sign in again to go on."

    # check_mail.html
    check_mail_title: str = "Check your e-mail"
    check_mail_text: str = "If you can sign in with that address, a link is on its way to it."
    check_mail_minutes: str = "It works once, for {minutes} minutes."
    check_mail_spam: str = "Nothing there? Look among the spam, or try again in a few minutes."
    check_mail_code: str = "Or type the code from the letter"
    check_mail_again: str = "Send it again"
    check_mail_back: str = "Back to sign-in"

    # confirm.html
    confirm_title: str = "Almost there"
    confirm_text: str = "You are about to sign in to {site} in this browser as"
    confirm_button: str = "Sign in"
    confirm_warning: str = "You did not ask for this? Close the page: nothing has happened."

    # devices.html
    devices_title: str = "Your account"
    devices_sessions: str = "Devices"
    devices_sessions_hint: str = "Where you are signed in right now."
    devices_this: str = "This device"
    device_unknown: str = "Unknown device"
    device_on: str = "{browser} on {system}"
    devices_last_used: str = "Last used {time}"
    devices_since: str = "signed in {time}"
    devices_revoke: str = "Sign out"
    devices_revoke_named: str = "Sign out {device}"
    devices_revoke_others: str = "Sign out all other devices"
    devices_accounts: str = "Linked accounts"
    devices_accounts_hint: str = "Each of these signs you in."
    devices_accounts_none: str = "No account is linked yet."
    devices_link: str = "Link {provider}"
    devices_unlink: str = "Unlink"
    devices_unlink_named: str = "Unlink {provider}"
    devices_passkeys: str = "Passkeys"
    devices_passkeys_hint: str = "Sign in with your fingerprint, face or screen lock: nothing to remember."
    devices_passkeys_add: str = "Add a passkey"
    devices_passkeys_unnamed: str = "Passkey"
    devices_passkeys_added: str = "Added {time}"
    devices_passkeys_used: str = "last used {time}"
    devices_passkeys_unused: str = "not used yet"
    devices_passkeys_rename: str = "Rename"
    devices_passkeys_rename_named: str = "Rename {passkey}"
    devices_passkeys_name: str = "Name of the passkey"
    devices_passkeys_save: str = "Save"
    devices_remove: str = "Remove"
    devices_remove_named: str = "Remove {passkey}"
    devices_last_way: str = "Your only way in"

    devices_sure: str = "Are you sure?"
    done_revoked: str = "Signed out there."
    done_revoked_others: str = "Signed out on all other devices."
    done_revoked_all: str = "All sessions of this user have ended."
    done_unlinked: str = "The account is no longer linked."
    done_deleted: str = "The passkey is removed. It is left on your device until you remove it there too."
    done_renamed: str = "The passkey is renamed."
    done_added: str = "The passkey is added."
    done_linked: str = "The account is linked."

    devices_confirm: str = "To change anything here, confirm first that it is you."
    devices_confirm_link: str = "Confirm it is you"

    # confirm_it_is_you.html
    confirm_you_title: str = "Confirm it is you"
    confirm_you_text: str = "You signed in a while ago. Confirm that it is you, and go on where you were."
    confirm_you_passkey: str = "Confirm with a passkey"
    confirm_you_leave: str = "Leave it"

    # the foot of every page
    link_terms: str = "Terms"
    link_privacy: str = "Privacy"
    link_imprint: str = "Legal notice"
    link_help: str = "Help"

    # again.html, again_link.html
    again_title: str = "One more click"
    again_text: str = (
        "You signed in or out in another tab meanwhile. Nothing has happened yet: go on if you still want to."
    )
    again_confirmed: str = "Thank you. Go on with what you began."
    again_button: str = "Go on"

    # passkey.js
    passkey_failed: str = "That did not work. Try again, or sign in another way."
    passkey_cancelled: str = "Cancelled, or there is no passkey for this site on this device."
    passkey_add_failed: str = "The passkey was not added. Try again, or with another device."
    passkey_add_cancelled: str = (
        "Cancelled, or this device cannot make a passkey that asks for a PIN, a fingerprint or a face."
    )
    passkey_exists: str = "This device already has a passkey for you."

    # error.html
    error_title: str = "That did not work"
    error_title_over: str = "Too late"
    error_title_missing: str = "There is nothing here"
    error_title_closed: str = "No way in here"
    error_title_later: str = "Not right now"
    error_reference: str = "If you ask for help, quote {reference}."
    error_flow: str = "This sign-in was not started in this browser, took too long or was finished already."
    error_provider: str = "{provider} did not sign you in. Nothing has changed; you can try again."
    error_provider_link: str = "{provider} was not linked. Nothing has changed; you can try again."
    error_cancelled: str = "You did not continue at {provider}. Nothing has changed."
    error_link: str = "This link was used already or has expired. Ask for a new one."
    error_not_linked: str = (
        "Somebody with this e-mail address has signed in here before, in another way. "
        "Sign in that way first, then link {provider} in your account."
    )
    error_linked_elsewhere: str = "This {provider} account belongs to another user."
    error_not_allowed: str = "This site is for people who were invited. Ask the people who run it."
    error_code: str = "That is not the code of the newest letter. After five wrong ones, ask for a new letter."
    error_disabled: str = "This user has been disabled. Ask the people who run this site."
    error_csrf: str = "This was sent from another site, or by a browser without cookies. Go back and try again."
    error_stale: str = "You signed in or out meanwhile. Load the page again."
    error_last_way: str = "That is your only way in. Add another first."
    error_fresh: str = "Sign in again to do this."
    error_passkey: str = "This passkey did not sign you in. Try again, or sign in another way."
    error_passkey_add: str = "This passkey was not added: it took too long, or asked for no PIN, fingerprint or face."
    error_passkey_exists: str = "This passkey is known already."
    error_request: str = "The request could not be understood."
    error_not_found: str = "The page is gone, or the link was not complete."
    error_email: str = "That is not an e-mail address."
    error_sign_in: str = "Sign in first."
    error_unavailable: str = "That is not possible right now. Try again in a minute."
    error_too_many: str = "Too many requests come from your network. Try again in a few minutes."
    error_back: str = "Back to sign-in"
    error_home: str = "Go to {site}"

    # the letter
    mail_subject: str = "Sign in to {site}"
    mail_intro: str = "Follow this link to sign in to {site}:"
    mail_button: str = "Sign in to {site}"
    mail_code: str = "Or type this code where you asked for the letter:"
    mail_expiry: str = "It works once, for {minutes} minutes."
    mail_ignore: str = "You did not ask for it? Then ignore this letter: nothing happens."

    # the invitation
    invitation_subject: str = "You are invited to {site}"
    invitation_intro: str = "You are invited to {site}. Follow this link to come in:"
    invitation_button: str = "Accept the invitation"
    invitation_expiry: str = "It works once, for {days} days."
    invitation_ignore: str = "You do not know what this is about? Then ignore this letter: nothing happens."
    invitation_title: str = "You are invited"
    invitation_text: str = "You are about to join {site} in this browser as"


ENGLISH: Final = Texts()
