"""What a load leaves on disk: samples, ledger, histograms."""
