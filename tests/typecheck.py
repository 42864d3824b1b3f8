"""The checker of types and shapes in signatures: beartype, by typing's own rules."""

from beartype import BeartypeConf, beartype

# An int is a float to a type checker.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
