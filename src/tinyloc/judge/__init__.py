"""The verdict: how right the answers are, whether every one of them agrees, and whether it all fits."""
