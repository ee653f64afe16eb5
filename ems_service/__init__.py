"""The execution management system: carries orders between clients and brokers, and never loses or doubles one."""
