"""A shop of Flask's with Flask-Session in its database: writes a few, and prints their cookies and what is in them."""

import json
import sys
import warnings

from flask import Flask, session
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config.update(
    SECRET_KEY="the key of a shop",
    SQLALCHEMY_DATABASE_URI=sys.argv[1].replace("postgresql://", "postgresql+psycopg://"),
    SESSION_TYPE="sqlalchemy",
    SESSION_SERIALIZATION_FORMAT=sys.argv[2],
    SESSION_USE_SIGNER=sys.argv[3] == "signed",
)
database = app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the signer, which is what is tried
    Session(app)


@app.post("/")
def put() -> str:
    from flask import request

    session.update(request.get_json())
    return ""


def written(data: dict[str, object]) -> dict[str, object]:
    """A session with this in it."""
    browser = app.test_client()
    browser.post("/", json=data)
    cookie = browser.get_cookie("session")
    assert cookie is not None
    return {"cookie": cookie.value, "data": {"_permanent": True, **data}, "user": data.get("_user_id")}


cart = {"cart": {"tea": 2, "milk": 1.5}, "note": "für Ada ☕", "nothing": None}
print(json.dumps([written(cart), written({**cart, "_user_id": "1", "_fresh": True})]))
