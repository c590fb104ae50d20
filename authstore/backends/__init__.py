"""authstore.backends"""
