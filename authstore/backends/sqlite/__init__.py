"""authstore.backends.sqlite"""
