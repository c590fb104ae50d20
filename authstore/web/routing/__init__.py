"""From a function of a request to a route: what is asked, what is answered, what a browser has begun."""
