"""init, migrate, inspect and prune on PostgreSQL."""

from tests.cli.running import events, run


def test_a_store_is_made_looked_at_and_pruned(source_url: str) -> None:
    pending = run("migrate", source_url, "--check", "--json")
    assert pending.returncode == 1
    assert "0001 initial" in events(pending)[-1]["pending"]
    assert run("inspect", source_url).returncode == 1
    assert "CREATE TABLE users" in run("migrate", source_url, "--sql").stdout
    made, again = run("init", source_url, "--json"), run("init", source_url, "--json")
    assert [events(done)[-1]["created"] for done in (made, again)] == [True, False]
    assert run("migrate", source_url, "--check").returncode == 0
    found = events(run("inspect", source_url, "--json"))[-1]
    assert found["tables"]["users"]["rows"] == 0
    assert "accounts_user_id" in found["tables"]["accounts"]["indexes"]
    assert run("prune", source_url).returncode == 0
    assert "secret" not in made.stdout + run("inspect", source_url).stdout
