"""authstore.web"""
