"""Say who may come in: sessions, people and the keys that have no person behind them."""
