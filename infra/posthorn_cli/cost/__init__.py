"""What Posthorn costs: what a run asks of AWS, counted, times a dated price table."""
