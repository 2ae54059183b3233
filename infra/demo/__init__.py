"""`make demo`: two customers and one key, a webhook that succeeds at the fourth attempt, and the events of three mails."""
