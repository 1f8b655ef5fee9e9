"""Seeds: what fills a new database after it was initialized, as the ``seed`` setting declares it."""
