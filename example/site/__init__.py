"""Ledger, a site whose users upload invoices, look at them, share and delete them: ``just site`` starts it."""
