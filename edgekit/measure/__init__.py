"""`edgekit bench`: measuring sessions, the verdict on each, profiles, and paired comparison."""
