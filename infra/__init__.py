"""What surrounds the functions: running, operating and measuring them."""
