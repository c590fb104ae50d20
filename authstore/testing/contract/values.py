"""What the store is given comes back equal, cannot be what no database keeps, and shows no secret."""

import copy
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pydantic import JsonValue

from authstore.adapter import Adapter
from authstore.testing.contract.shared import BAD_TEXTS, ContractBase
from authstore.testing.factories import make_account, make_authenticator, make_role, make_session, make_user

Write = Callable[[Adapter, str, Any], Coroutine[Any, Any, Any]]


def _nested(depth: int) -> JsonValue:
    value: JsonValue = []
    for _ in range(depth):
        value = {"deeper": [value]}
    return value


DATA: list[dict[str, JsonValue]] = [
    {},
    {"": ""},
    {"null": None, "true": True, "false": False, "one": 1, "zero": 0},
    {"float": 1.5, "whole": 1.0, "tiny": 5e-324, "huge": 1.7976931348623157e308, "minus": -0.1, "sum": 0.1 + 0.2},
    {"ints": [2**53 + 1, -(2**63), 2**63 - 1, 2**64, 10**30]},
    {"text": "quotes \" and \\ and / and ' and \u2028 and \u007f", "control": "\x01\n\t\x1f"},
    {"ünïcode": "héllo", "emoji": "🔑👩‍💻", "form": "e\u0301", "composed": "\u00e9"},
    {"a.b": 1, "$c": 2, "0": [], "nested": {"list": [[], {}, [None, [1, "two"]]]}},
    {"like": "text", "number": "007", "time": "2031-05-06T07:08:09Z", "bool": "true", "none": "null"},
    {"deep": _nested(40)},
    {"long": "x" * 100_000},
]

NO_JSON: list[Any] = [
    {"nan": float("nan")}, {"infinity": float("inf")}, {"deep": [{"minus": float("-inf")}]}, {"bytes": b"x"},
    {"set": {1}}, {1: "key"}, {"object": object()}, "text", 5,
    {"nul": "a\0b"}, {"nul\0key": 1}, {"deep": [{"list": ["\0"]}]}, {"surrogate": "\ud800"}, {"\udfff": 1},
]  # fmt: skip


def _strictly(value: Any) -> Any:
    """The value with booleans told from numbers, which Python holds for equal."""
    if isinstance(value, dict):
        return {key: _strictly(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strictly(item) for item in value]
    return (type(value).__name__, value) if isinstance(value, bool) else value


async def _round_trips(adapter: Adapter, data: Any) -> list[Any]:
    """The data, once through everything that holds some, as returned and as found again."""
    user = await make_user(adapter, data=data)
    account = await make_account(adapter, user, provider_account_id="42", data=data)
    session = await make_session(adapter, user, data=data)
    token = await adapter.create_verification_token("someone", data=data)
    passkey = await make_authenticator(adapter, user, credential_id="c1", data=data)
    role = await make_role(adapter, name="r1", data=data)
    found = [
        await adapter.get_user(user.id), await adapter.get_account("github", "42"),
        await adapter.get_session(str(session.token)), await adapter.get_authenticator("c1"),
        await adapter.get_role("r1"), await adapter.use_verification_token("someone", str(token.token)),
    ]  # fmt: skip
    return [getattr(model, "data", None) for model in (user, account, session, token, passkey, role, *found)]


async def _token(adapter: Adapter, user_id: str, given: dict[str, Any]) -> None:
    await adapter.create_verification_token(**{"identifier": "someone", **given})


WRITES: dict[str, Write] = {
    "create_user": lambda a, user, given: a.create_user(**given),
    "update_user": lambda a, user, given: a.update_user(user, **given),
    "link_account": lambda a, user, given: a.link_account(
        **{"user_id": user, "provider": "p", "provider_account_id": "1", **given}
    ),
    "sign_in_with_account": lambda a, user, given: a.sign_in_with_account(
        **{"provider": "p", "provider_account_id": "1", **given}
    ),
    "create_session": lambda a, user, given: a.create_session(user, **given),
    "create_verification_token": _token,
    "create_authenticator": lambda a, user, given: a.create_authenticator(
        **{"user_id": user, "credential_id": "c", "public_key": b"k", **given}
    ),
    "create_role": lambda a, user, given: a.create_role(**{"name": "r", **given}),
    "update_role": lambda a, user, given: a.update_role("stands", **given),
}

TEXTS = [
    *(("create_user", field) for field in ("id", "name", "image", "email")),
    *(("update_user", field) for field in ("name", "image", "email")),
    *(("link_account", field) for field in (
        "provider", "provider_account_id", "access_token", "refresh_token", "id_token", "token_type", "scope",
        "session_state")),
    *(("sign_in_with_account", field) for field in ("provider", "provider_account_id", "name", "image")),
    *(("create_session", field) for field in ("ip", "user_agent")),
    *(("create_verification_token", field) for field in ("identifier", "purpose", "token")),
    *(("create_authenticator", field) for field in ("credential_id", "name", "transports")),
    *(("create_role", field) for field in ("name", "description")),
    *(("update_role", field) for field in ("new_name", "description")),
]  # fmt: skip


class ValuesContract(ContractBase):
    """Data, texts and what models show of themselves."""

    @pytest.mark.parametrize("data", DATA, ids=lambda data: ascii(data)[:30])
    async def test_data_comes_back_equal(self, adapter: Adapter, data: dict[str, JsonValue]) -> None:
        for stored in await _round_trips(adapter, data):
            assert stored == data
            assert _strictly(stored) == _strictly(data)

    @pytest.mark.parametrize("data", NO_JSON, ids=lambda data: ascii(data)[:30])
    async def test_what_json_does_not_take_is_refused(self, adapter: Adapter, data: Any) -> None:
        user = await make_user(adapter)
        for write in (adapter.create_user(data=data), adapter.update_user(user.id, data=data)):
            with pytest.raises((TypeError, ValueError)):
                await write
        with pytest.raises((TypeError, ValueError)):
            await make_session(adapter, user, data=data)
        assert await adapter.list_users() == [user]

    async def test_what_the_caller_does_to_the_data_reaches_nobody_else(self, adapter: Adapter) -> None:
        given: dict[str, Any] = {"list": [1]}
        user = await make_user(adapter, data=given)
        given["list"].append(2)
        user.data["changed"] = True
        found = await adapter.get_user(user.id)
        assert found is not None
        assert found.data == {"list": [1]}
        found.data.clear()
        again = await adapter.get_user(user.id)
        assert again is not None
        assert again.data == {"list": [1]}

    @pytest.mark.parametrize(("write", "field"), TEXTS, ids=lambda name: name)
    async def test_nul_and_lone_surrogates_are_refused_everywhere(
        self, adapter: Adapter, write: str, field: str
    ) -> None:
        user, role = await make_user(adapter), await make_role(adapter, name="stands")
        for text in BAD_TEXTS:
            with pytest.raises(ValueError):
                await WRITES[write](adapter, user.id, {field: [text] if field == "transports" else text})
        assert await adapter.list_users() == [user]
        assert await adapter.list_roles() == [role]
        assert await adapter.list_accounts(user.id) == []

    @pytest.mark.parametrize("text", BAD_TEXTS, ids=ascii)
    async def test_what_cannot_be_stored_is_not_found(self, adapter: Adapter, text: str) -> None:
        assert await adapter.get_user(text) is None
        assert await adapter.get_user_by_email(f"{text}@example.com") is None
        assert await adapter.get_user_by_account("github", text) is None
        assert await adapter.get_account(text, "42") is None
        assert await adapter.get_session_and_user(text * 16) is None
        assert await adapter.peek_verification_token(text, text * 16) is None
        assert await adapter.use_verification_token("someone", text * 16) is None
        assert await adapter.get_authenticator(text) is None
        assert await adapter.get_role(text) is None
        assert await adapter.has_permission(text, text, text) is False

    @pytest.mark.parametrize("text", BAD_TEXTS, ids=ascii)
    async def test_what_cannot_be_stored_is_neither_listed_nor_changed_nor_deleted(
        self, adapter: Adapter, text: str
    ) -> None:
        assert await adapter.list_accounts(text) == []
        assert await adapter.list_sessions(text) == []
        assert await adapter.list_authenticators(text) == []
        assert await adapter.get_roles(text) == []
        assert await adapter.list_users_with_role(text) == []
        assert await adapter.update_user(text, name="X") is None
        assert await adapter.update_role(text, description="X") is None
        assert await adapter.delete_user(text) is False
        assert await adapter.unlink_account("github", text) is False
        assert await adapter.delete_session(text * 16) is False
        assert await adapter.revoke_session(text) is False
        assert await adapter.revoke_sessions(text, except_token=text) == 0
        assert await adapter.delete_authenticator(text) is False
        assert await adapter.delete_role(text) is False
        assert await adapter.revoke_role(text, text) is False

    async def test_models_do_not_show_their_secrets(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        tokens = {"access_token": "secret-access", "refresh_token": "secret-refresh", "id_token": "secret-id"}
        done = await adapter.sign_in_with_account(
            provider="google", provider_account_id="42", current_user_id=user.id, tokens=tokens
        )
        session = await make_session(adapter, user, token="secret-session-token")
        verification = await adapter.create_verification_token("someone", token="secret-verification-token")
        for model in (done, done.account, session, verification):
            shown = [
                repr(model),
                str(model),
                f"{model}",
                model.model_dump_json(),
                json.dumps(model.model_dump(mode="json")),
            ]
            assert "secret" not in "".join(shown)
            assert "secret" not in str(model.model_dump())
        assert session.model_dump(include={"token"}) == {"token": "secret-session-token"}
        assert verification.model_dump(include={"token"}) == {"token": "secret-verification-token"}
        assert done.account.model_dump(include={*tokens}) == tokens

    async def test_what_callers_do_to_data_changes_nothing_in_the_store(self, adapter: Adapter) -> None:
        given: Any = {"list": [1], "deep": {"list": [{"a": 1}]}}
        expected = copy.deepcopy(given)
        user = await make_user(adapter, data=given)
        session = await make_session(adapter, user, data=given)
        token = await adapter.create_verification_token("someone", data=given)
        others = [
            await make_account(adapter, user, provider_account_id="42", data=given),
            await make_authenticator(adapter, user, credential_id="c1", data=given),
            await make_role(adapter, name="r1", data=given),
        ]

        async def found() -> list[Any]:
            pair = await adapter.get_session_and_user(str(session.token))
            return [
                *(pair or ()), await adapter.get_user(user.id), *await adapter.list_users(),
                *await adapter.list_sessions(user.id), *await adapter.list_accounts(user.id),
                *await adapter.list_authenticators(user.id), *await adapter.list_roles(),
                await adapter.peek_verification_token("someone", str(token.token)),
            ]  # fmt: skip

        seen: list[Any] = [given]
        for model in [user, session, token, *others, *await found()]:
            seen.append(model.data)
        for data in seen:
            data["deep"]["list"][0]["a"] = "changed"
            data["list"].append("changed")
        assert [model.data for model in await found()] == [expected] * 9

    async def test_models_are_frozen(self, adapter: Adapter) -> None:
        user = await make_user(adapter)
        with pytest.raises(ValueError):
            setattr(user, "name", "Changed")  # noqa: B010 - as an assignment it would be a type error
