"""The console: pages for whoever is on call. The only room of the web that knows `authstore.ops`."""
