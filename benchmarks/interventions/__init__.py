"""Systems whose causes are known, what causal maps find in them, and what other methods find."""
