"""One request from its client to the engines that did its work: `calorimeter trace` and the ledger."""
