"""`posthorn`, the operator's command line."""
