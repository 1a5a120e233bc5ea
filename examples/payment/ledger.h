/* The ledger: accounts and the transfers that changed them, in SQLite (ledger.c) or in PostgreSQL
 * (examples/postgres/ledger.c). It stands for whatever moves money in your house, so it promises
 * little: nothing here keeps a payment from being booked twice (there is no unique constraint on
 * the payment's id). What it does have is the guard of docs/contract.md, section 5: one row a
 * resource with the greatest fencing token that it has seen.
 *
 * ledger_move() claims the guard first, then reads, then writes, all in one transaction, so that a
 * holder whose lock was lost meanwhile cannot slip in behind a newer one. */
#ifndef EXAMPLES_PAYMENT_LEDGER_H
#define EXAMPLES_PAYMENT_LEDGER_H

#include <stdint.h>

struct ledger; /**< a connection to it; one thread at a time */

enum { TEXT_BYTES = 64, RECEIPT_BYTES = 160 };

/** One request: take `cents` from `account` and give them to the shop, under the payment's id. */
struct payment {
    char id[TEXT_BYTES];      /**< chosen by the customer's side; a repeat has the same */
    char account[TEXT_BYTES]; /**< whose money */
    int64_t cents;            /**< how much */
};

/** What a move came to. */
enum moved {
    MOVED,            /**< committed; the receipt is written */
    MOVED_NOT_FENCED, /**< refused by the guard: a newer holder has been here; nothing changed */
    MOVED_NOT_FUNDS,  /**< the account holds too little; nothing changed */
};

/** Open the ledger. This and all below end the process with a sentence if the database fails.
 * \param where  a file; in PostgreSQL what libpq connects to ("host=... dbname=...").
 * \return owned: ledger_close() it. */
struct ledger *ledger_open(const char *where);

/** Close it. */
void ledger_close(struct ledger *ledger);

/** Move the money, if `token` is not older than one that has been here for this account.
 * \param receipt  Out, RECEIPT_BYTES: written only with MOVED. */
enum moved ledger_move(struct ledger *ledger, const struct payment *p, uint64_t token,
                       char *receipt);

/** Ask whether a payment was booked, and fence off whoever held the account before `token`: what
 * this says stays true, since a late writer is refused from now on.
 * \param receipt  Out, RECEIPT_BYTES: written if it was. \return 1 booked, 0 not, -1 fenced off. */
int ledger_ask(struct ledger *ledger, const struct payment *p, uint64_t token, char *receipt);

/** Move the money as one does who thinks that nothing happens twice or at the same time: read the
 * balance, compute, write it back. */
void ledger_move_naively(struct ledger *ledger, const struct payment *p);

#endif
