"""What is installed in an application: its middleware, Starlette's authentication, the mount of our routes."""
