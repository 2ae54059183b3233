"""`make demo`: register two webhooks, publish two events, and watch them arrive, one of them at the fourth try."""
