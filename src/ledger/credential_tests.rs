//! What the credential ledger makes of requests written by hand.
