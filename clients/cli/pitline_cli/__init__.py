"""The command `pitline`: trade, watch and run Pitline from a terminal or a script."""
