"""authstore.mover"""
