"""What is written down and read again: manifests, measurements, run conditions, preprocessing, the table of runtimes.

Plain data with checks. Nothing here measures, exports or draws.
"""
