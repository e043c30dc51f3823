"""What came out: win rates, log-likelihoods, overlap, length, and how sure one can be of them."""
