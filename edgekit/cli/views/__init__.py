"""What a person reads of each command's result: a function from its documented JSON to lines and tables.

A plain string is printed as it is; what rich renders is wrapped to the terminal.
"""
