"""`make demo`: register two webhooks, publish two events, watch them arrive, one at the fourth attempt."""
