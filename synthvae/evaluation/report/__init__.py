"""The report: charts, and one HTML file that holds them."""
