"""Who makes a request: the cookies, the session behind them, and who signs in and out."""
