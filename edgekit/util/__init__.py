"""Files, downloads and words that know nothing of networks or devices."""
