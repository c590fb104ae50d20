"""The sign-in page, and what people see and change of their own account."""
