/* What only the ledger in SQLite offers: how the demonstration makes it, and counts. */
#ifndef EXAMPLES_PAYMENT_LEDGER_SQLITE_H
#define EXAMPLES_PAYMENT_LEDGER_SQLITE_H

#include "examples/payment/ledger.h"

enum { ACCOUNTS = 60, CENTS_AT_START = 1000000 };

/** Make the tables and the accounts. */
void ledger_make(struct ledger *ledger);

/** Sum of all balances, in cents. */
int64_t ledger_sum(struct ledger *ledger);

/** One number from a query that gives one row, with an optional text parameter (NULL = none). */
int64_t ledger_number(struct ledger *ledger, const char *query, const char *parameter);

/** Run statements that return nothing. */
void ledger_run(struct ledger *ledger, const char *sql);

#endif
