"""authstore.cli"""
