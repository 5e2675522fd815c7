"""``perps feed``: sends prices to a market through the price route, from a file or from a simulated process.

Reading order: ``csv_file`` (recorded prices), ``price_process`` (simulated ones), ``player`` (when each is due),
``command``.
"""
