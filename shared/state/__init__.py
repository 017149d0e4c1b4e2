"""What Redis holds at run time: the due set, intents, leases, receipts, holds, revisions.

Losing all of it loses no inventory (that lives in the clusters) and no Git; it loses the audit stream and the receipts.
"""
