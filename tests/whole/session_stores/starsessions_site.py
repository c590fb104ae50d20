"""A shop of Starlette's with starsessions, and a store for it in Postgres as people write them."""

import json
import sys

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starsessions import SessionAutoloadMiddleware, SessionMiddleware, SessionStore

TABLE = "CREATE TABLE sessions (id text PRIMARY KEY, data bytea NOT NULL, expires_at timestamptz NOT NULL)"


class PostgresStore(SessionStore):
    """What starsessions asks of a store, as three statements."""

    async def read(self, session_id: str, lifetime: int) -> bytes:
        rows = self._asked("SELECT data FROM sessions WHERE id = %s AND expires_at > now()", session_id)
        return bytes(rows[0][0]) if rows else b""

    async def write(self, session_id: str, data: bytes, lifetime: int, ttl: int) -> str:
        self._asked(
            "INSERT INTO sessions VALUES (%s, %s, now() + %s * interval '1 second') RETURNING id", session_id, data, ttl
        )
        return session_id

    async def remove(self, session_id: str) -> None:
        self._asked("DELETE FROM sessions WHERE id = %s RETURNING id", session_id)

    def _asked(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(sys.argv[1], autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()


async def put(request: Request) -> Response:
    request.session.update(await request.json())
    return Response()


def written(data: dict[str, object]) -> dict[str, object]:
    """A session with this in it."""
    app = Starlette(routes=[Route("/", put, methods=["POST"])])
    app.add_middleware(SessionAutoloadMiddleware)
    app.add_middleware(SessionMiddleware, store=PostgresStore(), lifetime=3600)
    answer = TestClient(app, base_url="https://shop.example").post("/", json=data)
    return {"cookie": answer.cookies["session"], "data": data, "user": data.get("user_id")}


with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute(TABLE)
cart = {"cart": ["tea"], "note": "für Ada ☕"}
print(json.dumps([written(cart), written({**cart, "user_id": "1"})]))
