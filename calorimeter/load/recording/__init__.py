"""The records of a load: samples, ledger and histograms."""
