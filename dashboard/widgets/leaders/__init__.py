"""Draw what the leaders' figures alone are made of: the choice above them, the present, the trend, the cases."""
