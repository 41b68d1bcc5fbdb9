"""Take in what comes from outside: messages read strictly, located, typed, and each brought to the Desk once."""
