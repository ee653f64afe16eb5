"""Between the contract and the core: besides the servicers, the only modules that know both."""
