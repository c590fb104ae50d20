"""authstore.testing"""
