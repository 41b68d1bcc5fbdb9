"""Answer HTTP that is no page: reports, logins, phones, streams."""
