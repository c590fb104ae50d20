"""What a URL says: which servers, and what is asked of them; nothing of it is ever shown."""

from typing import Any

import pytest

from authstore import ConfigurationError, connect
from authstore.backends.postgres.servers import CONNECT_SECONDS, servers, settings

PASSWORD = "hunter2"


def test_each_host_is_a_server_in_the_order_of_the_url() -> None:
    found = servers(f"postgresql://ada:{PASSWORD}@one,two:5433,[::1]:5434/auth?sslmode=require")
    assert found.urls == (
        f"postgresql://ada:{PASSWORD}@one/auth?sslmode=require",
        f"postgresql://ada:{PASSWORD}@two:5433/auth?sslmode=require",
        f"postgresql://ada:{PASSWORD}@[::1]:5434/auth?sslmode=require",
    )
    assert found.database == "auth"


def test_a_socket_and_a_password_may_stand_in_the_query() -> None:
    found = servers("postgresql:///auth?host=/run/postgresql&user=ada&password=a%20b")
    assert found.urls == ("postgresql:///auth?host=%2Frun%2Fpostgresql&user=ada&password=a%20b",)


def test_what_the_driver_does_itself_is_left_out_and_the_time_to_connect_is_kept() -> None:
    found = servers("postgresql://h/auth?connect_timeout=7&target_session_attrs=read-write&keepalives=1")
    assert (found.urls, found.connect_seconds) == (("postgresql://h/auth",), 7.0)
    assert servers("postgresql://h/auth?connect_timeout=0").connect_seconds == CONNECT_SECONDS
    assert servers("postgresql://h/auth?connect_timeout=1").connect_seconds == 2.0


def test_options_go_to_the_server_but_nothing_a_pooler_would_refuse() -> None:
    found = servers("postgresql://h/auth?options=-csearch_path%3Dauth&application_name=shop")
    direct = settings(found, "off", is_pooled=False)
    assert direct["options"] == "-csearch_path=auth"
    assert direct["application_name"] == "shop"
    assert direct["synchronous_commit"] == "off"
    assert settings(servers("postgresql://h/auth"), "on", is_pooled=True) == {
        "application_name": "authstore",
        "TimeZone": "UTC",
    }


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:{PASSWORD}@h/auth?passwort={PASSWORD}",
        f"postgresql://ada:{PASSWORD}@h/auth?connect_timeout=soon",
        f"postgresql://ada:{PASSWORD}@h/auth?=",
        f"postgresql://ada:{PASSWORD}#@h/auth",
        f"postgresql://ada:{PASSWORD}@[h/auth",
        *(
            f"postgresql://ada:{PASSWORD}@one,h:{port}/auth"
            for port in ("65536", "0", "-1", "x", "²", "5432:1", "9" * 5000)
        ),
        f"postgresql://ada:{PASSWORD}@[::1]:65536/auth",
        f"postgresql://ada:{PASSWORD}@h/auth?port=5432,99999",
        *(f"postgresql://ada:{PASSWORD}@h/auth?connect_timeout={seconds}" for seconds in ("²", "9" * 5000)),
    ],
    ids=lambda url: ascii(url[:60]),
)
def test_what_cannot_be_read_is_refused_at_once_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connect(url)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("size", [0, -1, True, 2.5, "10", None])
def test_a_pool_has_a_whole_number_of_connections(size: object) -> None:
    with pytest.raises(ConfigurationError, match="pool_size"):
        connect("postgresql://h/auth", pool_size=size)  # type: ignore[arg-type]


def test_what_is_for_postgres_alone_is_refused_elsewhere() -> None:
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        connect("sqlite://", pool_size=11)
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        connect("sqlite://", read_url="postgresql://h/auth")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"read_url": "sqlite:///auth.db"}, "read_url"),
        ({"read_url": ""}, "read_url"),
        ({"read_url": f"postgresql://ada:{PASSWORD}@h/auth?nonsense=1"}, "nonsense"),
        ({"read_url": "postgresql://h/auth", "durability": "relaxed"}, "durability"),
        ({"read_url": "postgresql://h/auth", "pool_size": 1}, "pool_size"),
    ],
)
def test_a_standby_is_read_only_where_nothing_stale_could_be(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as refused:
        connect("postgresql://h/auth", **options)
    assert PASSWORD not in str(refused.value)
