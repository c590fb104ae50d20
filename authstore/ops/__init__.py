"""authstore.ops"""
