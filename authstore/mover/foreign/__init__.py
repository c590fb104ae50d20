"""A SQLite file of another application: its auth tables read row by row into the fields of ours."""
