"""What a spreadsheet would take for a formula. Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection."""

OPENS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
